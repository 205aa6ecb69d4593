"""sWUGGY: does the model prefer a spoken word to a spoken non-word? (ZeroSpeech 2021, lexical)"""

from __future__ import annotations

from math import inf
from pathlib import Path

from orality.evaluation.benchmarks.pairs import BenchmarkPair, Row
from orality.evaluation.benchmarks.zerospeech import gold_folder, read_gold

OUT_OF_VOCABULARY = "oov"
IN_VOCABULARY = "in_vocab"
# Lower bounds; a band ends before the next begins, so that the one called 1-5 holds 1 to 4,
# as in the official evaluation.
BANDS = ((0, OUT_OF_VOCABULARY), (1, "1-5"), (5, "6-20"), (20, "21-100"), (100, ">100"))


def read_swuggy(path: Path, split: str = "dev", *, recordings: bool = True) -> list[BenchmarkPair]:
    """Read sWUGGY from `path`: the data set, its `lexical` folder, or a folder with `gold.csv`.

    Columns: filename, id, voice, frequency, correct (word, phones and length are ignored). The
    voices of one id form a cluster; the group is the band of the word's training frequency, None
    where the file gives no frequency. Without `recordings`, only `gold.csv` is read.
    """
    return read_gold(
        gold_folder(path, "lexical", split),
        columns=("id", "voice"),
        key=("id", "voice"),
        cluster=("id",),
        group=_band_of_row,
        recordings=recordings,
    )


def frequency_band(frequency: float) -> str:
    """The official band of a word's frequency (a count, 0 or more)."""
    if not 0 <= frequency < inf:
        raise ValueError(f"a frequency is a finite count of 0 or more, got {frequency}")
    return [name for low, name in BANDS if frequency >= low][-1]


def _band_of_row(row: Row) -> str | None:
    if not row["frequency"]:
        return None
    try:
        return frequency_band(float(row["frequency"]))
    except ValueError as error:
        raise row.error(f"frequency {row['frequency']!r}: {error}") from error

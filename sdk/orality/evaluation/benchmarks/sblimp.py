"""sBLIMP: does the model prefer a grammatical sentence? (ZeroSpeech 2021, syntactic)"""

from __future__ import annotations

from pathlib import Path

from orality.evaluation.benchmarks.pairs import BenchmarkPair
from orality.evaluation.benchmarks.zerospeech import gold_folder, read_gold


def read_sblimp(path: Path, split: str = "dev", *, recordings: bool = True) -> list[BenchmarkPair]:
    """Read sBLIMP from `path`: the data set, its `syntactic` folder, or a folder with `gold.csv`.

    Columns: filename, id, voice, type, subtype, correct (transcription is ignored). Sentences
    are paired by (type, subtype, id, voice) where the official code trusts the order of the rows;
    the voices of one sentence form a cluster; the group is the type. Without
    `recordings`, only `gold.csv` is read.
    """
    return read_gold(
        gold_folder(path, "syntactic", split),
        columns=("id", "voice", "type", "subtype"),
        key=("type", "subtype", "id", "voice"),
        cluster=("type", "subtype", "id"),
        group=lambda row: row["type"],
        recordings=recordings,
    )

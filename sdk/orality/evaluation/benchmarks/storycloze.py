"""Spoken StoryCloze: does the model prefer a story's true ending? (TWIST's S- and T- variants)"""

from __future__ import annotations

import re
from pathlib import Path

from orality.errors import EvaluationError
from orality.evaluation.benchmarks.pairs import BenchmarkPair, audio_index
from orality.evaluation.benchmarks.zerospeech import natural_order

_NAME = re.compile(r"(?P<file>[^_]+)_(?P<pair>.+)_(?P<label>correct|incorrect)")


def read_storycloze(path: Path) -> list[BenchmarkPair]:
    """Read the flat folder of `<file_id>_<pair_id>_<correct|incorrect>` recordings.

    Whole stories are compared (beginning and ending), paired by `pair_id` and label, never by
    `file_id` or the file system's order. Transcripts beside them are ignored. Raises
    EvaluationError naming a recording that is called otherwise, given twice, or left alone.
    """
    sides: dict[str, dict[str, Path]] = {}
    for stem, recording in sorted(audio_index(path).items()):
        match = _NAME.fullmatch(stem)
        if match is None:
            raise EvaluationError(
                f"{recording} is not called <file_id>_<pair_id>_<correct|incorrect>"
            )
        side = sides.setdefault(match["pair"], {})
        if match["label"] in side:
            raise EvaluationError(
                f"{recording} and {side[match['label']].name} are both the {match['label']} "
                f"story of pair {match['pair']}"
            )
        side[match["label"]] = recording
    if not sides:
        raise EvaluationError(f"{path} holds no <file_id>_<pair_id>_<correct|incorrect> recordings")
    for pair, side in sides.items():
        if len(side) == 1:
            (alone,) = side.values()
            raise EvaluationError(f"{alone} has no counterpart of pair {pair}")
    return [
        BenchmarkPair(pair, side["correct"], side["incorrect"], None, pair)
        for pair, side in sorted(sides.items(), key=lambda item: natural_order((item[0],)))
    ]

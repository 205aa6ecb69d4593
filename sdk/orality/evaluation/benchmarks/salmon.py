"""SALMon: does the model notice who speaks, where and in what mood? (Maimon et al., 2024)"""

from __future__ import annotations

import re
from pathlib import Path

from orality.errors import EvaluationError
from orality.evaluation.benchmarks.pairs import BenchmarkPair, audio_index

PARTS = (
    "bg_alignment",
    "bg_all_consistency",
    "bg_domain_consistency",
    "gender_consistency",
    "rir_consistency",
    "sentiment_alignment",
    "sentiment_consistency",
    "speaker_consistency",
)
_NAME = re.compile(r"sample_(?P<number>\d+)_.+")


def read_salmon(path: Path) -> list[BenchmarkPair]:
    """Read `<part>/sample_<i>_*` recordings, two for each `i`, of which the first by name is right.

    `path`: the data set with any of its eight parts, or one part's folder. The group is the part.
    Raises EvaluationError naming a recording that is called otherwise, or a sample without two.
    """
    if not path.is_dir():
        raise EvaluationError(f"{path} is not a folder")
    folders = [path / part for part in PARTS if (path / part).is_dir()] or [path]
    pairs = []
    for folder in folders:
        samples: dict[int, list[Path]] = {}
        for stem, recording in sorted(audio_index(folder).items()):
            match = _NAME.fullmatch(stem)
            if match is None:
                raise EvaluationError(f"{recording} is not called sample_<i>_<...>")
            samples.setdefault(int(match["number"]), []).append(recording)
        if not samples:
            raise EvaluationError(f"{folder} holds no sample_<i>_<...> recordings")
        for number, found in sorted(samples.items()):
            if len(found) != 2:
                raise EvaluationError(
                    f"{folder}: sample {number} has {len(found)} recordings, wanted 2"
                )
            name = f"{folder.name}/{number}"
            pairs.append(BenchmarkPair(name, found[0], found[1], folder.name, name))
    return pairs

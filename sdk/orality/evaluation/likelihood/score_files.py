"""Accuracies from scores that are there already: those of a `zrc` submission, or anyone's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from orality.errors import EvaluationError
from orality.evaluation.benchmarks.sblimp import read_sblimp
from orality.evaluation.benchmarks.swuggy import read_swuggy
from orality.evaluation.likelihood.accuracy import Accuracy, PairOutcome, accuracies, preference


def zerospeech_accuracies(
    path: str | Path,
    scores: Mapping[str, float],
    *,
    kind: Literal["swuggy", "sblimp"] = "swuggy",
    split: str = "dev",
) -> dict[str | None, Accuracy]:
    """sWUGGY's or sBLIMP's accuracies: over all (None), in vocabulary, by band or type.

    `path`: the data set, or any folder down to the one with `gold.csv`, or that file; recordings
    need not be there. `scores`: by file name, with or without .wav; minus infinity is a score. The
    official evaluation's figures, but paired by key instead of by the order of rows. Raises
    EvaluationError for a name that is missing, unknown, given twice, or whose score is no number.
    """
    where = Path(path)
    where = where.parent if where.name == "gold.csv" else where
    if kind not in ("swuggy", "sblimp"):
        raise EvaluationError(f"wanted the kind swuggy or sblimp, got {kind!r}")
    read = read_swuggy if kind == "swuggy" else read_sblimp
    pairs = read(where, split, recordings=False)
    known: dict[str, float] = {}
    for name, score in scores.items():
        stem = name.removesuffix(".wav")
        if stem in known:
            raise EvaluationError(f"{stem} has two scores, with and without its suffix")
        if math.isnan(score):
            raise EvaluationError(f"the score of {stem} is not a number")
        known[stem] = score
    wanted = {file.stem for pair in pairs for file in (pair.positive, pair.negative)}
    for problem, names in (
        ("have no score", wanted - known.keys()),
        ("are scored but not in gold.csv", known.keys() - wanted),
    ):
        if names:
            raise EvaluationError(
                f"{len(names)} recordings {problem}, {', '.join(sorted(names)[:3])} among them"
            )
    outcomes = []
    for pair in pairs:
        right, wrong = known[pair.positive.stem], known[pair.negative.stem]
        outcomes.append(PairOutcome(pair, preference(right, wrong), right, wrong))
    return accuracies(outcomes, kind)


def read_scores(path: str | Path) -> dict[str, float]:
    """The lines `<name> <score>` of a submission's file; EvaluationError names a damaged one."""
    scores: dict[str, float] = {}
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{path} cannot be read: {error}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            name, score = line.split()
            value = float(score)
        except ValueError as error:
            raise EvaluationError(
                f"{path}, line {number}: wanted a name and a score, got {line!r}"
            ) from error
        if name in scores:
            raise EvaluationError(f"{path}, line {number}: {name} was given before")
        scores[name] = value
    return scores

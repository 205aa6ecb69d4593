"""Bins that the histograms of a run share, so that they compare at a glance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from orality.report.data.run_data import Stage
from orality.report.figures.draw import bins, counted

REPETITION = bins(0.0, 1.0, 0.05)


@dataclass(frozen=True, slots=True)
class Frame:
    """Axes that the rounds share: edges of the scores' bins, and the highest columns."""

    scores: Sequence[float]
    tallest_score: int
    tallest_repetition: int


def score_edges(scores: Sequence[float], marks: Sequence[float]) -> list[float]:
    """Sixteen bins over whole points, or one a grade where every score is a whole number.

    `marks`: thresholds, which are to lie inside.
    """
    low, high = math.floor(min([*scores, *marks])), math.ceil(max([*scores, *marks]))
    if all(float(score).is_integer() for score in scores):
        return bins(low - 0.5, high + 0.5, 1.0)
    return bins(low, max(high, low + 1), max((high - low) / 16, 1 / 16))


def shared_frame(rounds: Sequence[Stage]) -> Frame | None:
    """What all rounds' histograms are drawn in; None without scores."""
    scores = [c.score for stage in rounds for c in stage.continuations if c.score is not None]
    if not scores:
        return None
    marks = [
        mark
        for stage in rounds
        for mark in (stage.thresholds.rejected, stage.thresholds.chosen)
        if mark is not None
    ]
    edges = score_edges(scores, marks)
    heights = [max(_heights([c.score for c in stage.continuations], edges)) for stage in rounds]
    repeats = [
        max(_heights([c.auto_bleu for c in stage.continuations], REPETITION)) for stage in rounds
    ]
    return Frame(edges, max(heights), max(repeats))


def _heights(values: Sequence[float | None], edges: Sequence[float]) -> list[int]:
    return counted([value for value in values if value is not None], edges)

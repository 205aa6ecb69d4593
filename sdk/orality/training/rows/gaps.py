"""How far apart the scores of a pair's sides are, where a loss uses it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from orality.errors import TrainingError
from orality.preferences.ties import draw_shares
from orality.types import PreferencePair


def score_gap(pair: PreferencePair) -> float:
    """The chosen score less the rejected one, in the judge's scale; nan where one is missing."""
    if pair.chosen_score is None or pair.rejected_score is None:
        return math.nan
    return pair.chosen_score - pair.rejected_score


def check_gaps(pairs: Sequence[PreferencePair]) -> None:
    """Raise TrainingError where a pair has no score gap, or one below 0."""
    gaps = [score_gap(pair) for pair in pairs]
    unknown = [pair.id for pair, gap in zip(pairs, gaps, strict=True) if not math.isfinite(gap)]
    if unknown:
        raise TrainingError(
            f"{len(unknown)} of {len(pairs)} pairs ({unknown[0]}, ...) have no scores, and "
            "training.gap needs chosen_score and rejected_score of every pair; set it to none, or "
            "select pairs of what a judge has scored"
        )
    below = [pair.id for pair, gap in zip(pairs, gaps, strict=True) if gap < 0]
    if below:
        raise TrainingError(
            f"in {len(below)} of {len(pairs)} pairs ({below[0]}, ...) the rejected side has the "
            "higher score, so their gap is below 0; select pairs by score alone, or set "
            "training.gap to none"
        )


def mean_gap(pairs: Sequence[PreferencePair]) -> float:
    """The mean score gap, above 0; alternatives of one draw share the weight of one pair."""
    shares = draw_shares(pairs)
    total = sum(share * score_gap(pair) for share, pair in zip(shares, pairs, strict=True))
    if not total > 0:
        raise TrainingError(
            "all pairs have a score gap of 0, so none can be weighed by it; set training.gap to "
            "none, or select pairs whose scores differ"
        )
    return total / sum(shares)

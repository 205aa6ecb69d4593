"""Which continuation is chosen and which rejected (Align-SLM, equations 1 and 2)."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Candidate:
    """A judged continuation. `score`: higher is better; `auto_bleu`: None when there is no text."""

    id: str
    score: float | None
    auto_bleu: float | None = None
    perplexity: float | None = None


def candidate_of(verdict: Mapping[str, Any], transcript: Mapping[str, Any] | None) -> Candidate:
    """A stored verdict, and the transcript of its continuation where there is one.

    A verdict that was read without its `metrics` has no perplexity.
    """
    return Candidate(
        id=verdict["id"],
        score=verdict["score"],
        auto_bleu=None if transcript is None else transcript.get("auto_bleu"),
        perplexity=json.loads(verdict.get("metrics") or "{}").get("perplexity"),
    )


def select_pair(
    candidates: Sequence[Candidate],
    *,
    rejected: float,
    chosen: float,
    max_auto_bleu: float,
    seed: int,
) -> tuple[Candidate, Candidate] | None:
    """(chosen, rejected) by equation 2, or None when the thresholds leave no pair.

    Chosen: score >= `chosen` and auto-BLEU <= `max_auto_bleu`, the highest score of those.
    Rejected: score <= `rejected` or auto-BLEU > `max_auto_bleu`, the lowest score of those. Among
    equals the draw is random from `seed`. A candidate without a score is neither.
    """
    judged = [(item, item.score) for item in candidates if item.score is not None]
    good = [
        (item, score)
        for item, score in judged
        if score >= chosen and not _repeats(item, max_auto_bleu)
    ]
    bad = [
        (item, score)
        for item, score in judged
        if score <= rejected or _repeats(item, max_auto_bleu)
    ]
    if not good or not bad:
        return None
    draw = random.Random(seed)
    best = max(score for _, score in good)
    worst = min(score for _, score in bad)
    return (
        draw.choice([item for item, score in good if score == best]),
        draw.choice([item for item, score in bad if score == worst]),
    )


def select_pair_by_perplexity(
    candidates: Sequence[Candidate], *, max_auto_bleu: float, seed: int
) -> tuple[Candidate, Candidate] | None:
    """(chosen, rejected) by equation 1: lowest perplexity among those that do not repeat
    themselves, highest perplexity among all; None when they coincide or nothing qualifies."""
    measured = [(item, item.perplexity) for item in candidates if item.perplexity is not None]
    good = [(item, value) for item, value in measured if not _repeats(item, max_auto_bleu)]
    if not good:
        return None
    lowest = min(value for _, value in good)
    highest = max(value for _, value in measured)
    if lowest == highest:
        return None
    draw = random.Random(seed)
    return (
        draw.choice([item for item, value in good if value == lowest]),
        draw.choice([item for item, value in measured if value == highest]),
    )


def _repeats(candidate: Candidate, limit: float) -> bool:
    return candidate.auto_bleu is not None and candidate.auto_bleu > limit

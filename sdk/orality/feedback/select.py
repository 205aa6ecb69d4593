"""Which continuation is chosen and which rejected (Align-SLM, equations 1 and 2)."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

MAX_DRAWS = 9
"""So many combinations of tied continuations are kept at most."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A judged continuation. `score`: higher is better; `auto_bleu`: None when there is no text."""

    id: str
    score: float | None
    auto_bleu: float | None = None
    perplexity: float | None = None


class Pair(NamedTuple):
    """Two continuations of one prompt. `drawn`: one of several that are tied; a training uses one
    of them in each epoch."""

    chosen: Candidate
    rejected: Candidate
    drawn: bool = False


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


def select_pairs(
    candidates: Sequence[Candidate],
    *,
    rejected: float,
    chosen: float,
    max_auto_bleu: float,
    min_gap: float = 0.0,
    repetition_pairs: bool = False,
    pairs_per_prompt: int = 1,
    seed: int = 0,
) -> list[Pair]:
    """The pairs of one prompt by equation 2; empty when the thresholds leave none.

    Chosen: score >= `chosen` and auto-BLEU <= `max_auto_bleu`. Rejected: score <= `rejected` or
    auto-BLEU > `max_auto_bleu`. The chosen side scores higher, by `min_gap` at least, unless
    `repetition_pairs` lets a rejected side repeat itself at any score. A candidate without a score
    is neither.

    One pair per prompt is the best against the worst; where several are tied, their combinations
    come as pairs that are `drawn`, `MAX_DRAWS` of them at most, picked from `seed`. More pairs per
    prompt are those with the widest gaps.
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
    found = [
        (high - low, Pair(better, worse))
        for (better, high), (worse, low) in product(good, bad)
        if (high - low >= min_gap and high > low)
        or (repetition_pairs and better is not worse and _repeats(worse, max_auto_bleu))
    ]
    # Equal gaps keep the candidates' order: sorting is stable.
    found.sort(key=lambda item: -item[0])
    if pairs_per_prompt > 1 or not found:
        return [pair for _, pair in found[:pairs_per_prompt]]
    return _tied([pair for gap, pair in found if gap == found[0][0]], seed)


def select_pair_by_perplexity(
    candidates: Sequence[Candidate], *, max_auto_bleu: float, seed: int = 0
) -> list[Pair]:
    """The pair of one prompt by equation 1: lowest perplexity among those that do not repeat
    themselves, highest perplexity among all; empty when they coincide or nothing qualifies.

    Ties are as in `select_pairs`.
    """
    measured = [(item, item.perplexity) for item in candidates if item.perplexity is not None]
    good = [(item, value) for item, value in measured if not _repeats(item, max_auto_bleu)]
    if not good:
        return []
    lowest = min(value for _, value in good)
    highest = max(value for _, value in measured)
    if lowest == highest:
        return []
    best = [item for item, value in good if value == lowest]
    worst = [item for item, value in measured if value == highest]
    return _tied([Pair(better, worse) for better, worse in product(best, worst)], seed)


def _tied(pairs: list[Pair], seed: int) -> list[Pair]:
    if len(pairs) == 1:
        return pairs
    if len(pairs) > MAX_DRAWS:
        pairs = random.Random(seed).sample(pairs, MAX_DRAWS)
    return [pair._replace(drawn=True) for pair in pairs]


def _repeats(candidate: Candidate, limit: float) -> bool:
    return candidate.auto_bleu is not None and candidate.auto_bleu > limit

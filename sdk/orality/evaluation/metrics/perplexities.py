"""Perplexity of texts, with the way it was averaged in its name: the ways differ by multiples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal, get_args

from orality.errors import EvaluationError

Aggregation = Literal["token-mean", "exp-mean", "mean-exp", "median-exp"]


@dataclass(frozen=True, slots=True)
class Perplexity:
    """A perplexity over `n` texts of `tokens` tokens; `n_empty` texts had none and do not count."""

    value: float
    aggregation: Aggregation
    n: int
    n_empty: int
    tokens: int


def perplexity(
    nlls: Sequence[float | None], tokens: Sequence[int], aggregation: Aggregation = "exp-mean"
) -> Perplexity:
    """The perplexity of texts from their negative log-likelihoods.

    `nlls`: the sum over each text's tokens, in nats, 0 or None where there are none; `tokens`: how
    many. `token-mean`: exp(sum of all / tokens of all), a corpus' perplexity. `exp-mean`: exp(mean
    over texts of the mean per token), slamkit's. `mean-exp` and `median-exp`: of each text's own
    exp(mean per token), GSLM's. Raises EvaluationError where lengths differ, a text with tokens
    has no finite likelihood, or no text has a token.
    """
    if aggregation not in get_args(Aggregation):
        raise EvaluationError(
            f"perplexity is averaged by {', '.join(get_args(Aggregation))}, got {aggregation!r}"
        )
    if len(nlls) != len(tokens):
        raise EvaluationError(
            f"a perplexity needs one likelihood per text, got {len(nlls)} for {len(tokens)}"
        )
    known: list[tuple[float, int]] = []
    for place, (nll, count) in enumerate(zip(nlls, tokens, strict=True)):
        if count < 0:
            raise EvaluationError(f"text {place} cannot have {count} tokens")
        if count == 0:
            continue
        if nll is None or not math.isfinite(nll):
            raise EvaluationError(f"text {place} of {count} tokens has the likelihood {nll}")
        known.append((nll, count))
    if not known:
        raise EvaluationError(f"none of the {len(tokens)} texts has a token")
    total = sum(count for _, count in known)
    means = [nll / count for nll, count in known]
    match aggregation:
        case "token-mean":
            value = safe_exp(math.fsum(nll for nll, _ in known) / total)
        case "exp-mean":
            value = safe_exp(math.fsum(means) / len(means))
        case "mean-exp":
            value = math.fsum(map(safe_exp, means)) / len(means)
        case "median-exp":
            value = median(map(safe_exp, means))
    return Perplexity(value, aggregation, len(known), len(tokens) - len(known), total)


def safe_exp(nll: float) -> float:
    """exp of a mean in nats, the largest float where that would not fit."""
    return math.exp(min(nll, 709.0))

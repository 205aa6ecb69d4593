"""pGSLM's three figures of prosody, for F0 and for durations alike (Kharitonov et al., 2022).

Each utterance is a row of numbers, one per frame or unit: Hz, 0 where unvoiced, or durations in
frames. F0 of recordings: `orality.evaluation.metrics.f0`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orality.errors import EvaluationError

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Correlation:
    """Pearson's r over `n` utterances; `n_unvoiced` had no voiced frame on one side."""

    value: float
    n: int
    n_unvoiced: int


def prosody_min_mae(
    references: Sequence[ArrayLike],
    samples: Sequence[ArrayLike],
    *,
    voiced: Sequence[ArrayLike] | None = None,
) -> float:
    """How near the best of several samples comes to the true continuation, a mean per token.

    `references`: (tokens,) each; `samples`: (samples, tokens) each (pGSLM draws 20). Of each
    utterance the least sum of absolute differences counts; their total is divided by all tokens.
    `voiced`: bool (tokens,) each, which tokens are compared, all where it is None (durations); the
    unvoiced still count as tokens, as in the published code.
    """
    _same(len(references), len(samples), "samples", "references")
    if voiced is not None:
        _same(len(references), len(voiced), "masks", "references")
    least, tokens = [], 0
    for place, (reference, drawn) in enumerate(zip(references, samples, strict=True)):
        wanted, given = _row(reference, place), np.asarray(drawn, dtype=np.float64)
        if given.ndim != 2 or not len(given) or given.shape[1] != len(wanted):
            raise EvaluationError(
                f"utterance {place} has {len(wanted)} tokens, its samples the shape {given.shape}; "
                "wanted (samples, tokens)"
            )
        mask = np.ones(len(wanted), bool) if voiced is None else np.asarray(voiced[place], bool)
        _same(len(wanted), len(mask), "mask values", "tokens")
        if not np.isfinite(given).all():
            raise EvaluationError(f"utterance {place} has samples that are no finite numbers")
        least.append(float((np.abs(given - wanted) * mask).sum(axis=1).min()))
        tokens += len(wanted)
    if not tokens:
        raise EvaluationError("a mean error needs at least one token")
    return math.fsum(least) / tokens


def prosody_correlation(
    prompts: Sequence[ArrayLike], continuations: Sequence[ArrayLike]
) -> Correlation:
    """Does a high prompt get a high continuation? Pearson's r of the means of voiced tokens.

    Tokens of 0 are unvoiced and left out of the means. Raises EvaluationError where numbers differ,
    fewer than two utterances are voiced on both sides, or all means of a side are equal.
    """
    _same(len(prompts), len(continuations), "continuations", "prompts")
    pairs = [
        (voiced_mean(a, place), voiced_mean(b, place))
        for place, (a, b) in enumerate(zip(prompts, continuations, strict=True))
    ]
    known = np.array([pair for pair in pairs if None not in pair], dtype=np.float64)
    if len(known) < 2:
        raise EvaluationError(f"a correlation needs two voiced utterances, got {len(known)}")
    return Correlation(pearson(known[:, 0], known[:, 1]), len(known), len(pairs) - len(known))


def prosody_std(continuations: Sequence[ArrayLike]) -> float:
    """How expressive: sqrt(E[x^2] - E[x]^2) over all tokens of all continuations.

    Unvoiced tokens count as the 0 they are, as in the published code; leave them out beforehand for
    the spread of the voiced ones.
    """
    rows = [_row(values, place) for place, values in enumerate(continuations)]
    everything = np.concatenate(rows) if rows else np.empty(0)
    if not len(everything):
        raise EvaluationError("a standard deviation needs at least one token")
    return float(everything.std())


def voiced_mean(values: ArrayLike, place: int = 0) -> float | None:
    """The mean of the tokens that are not 0, None if there are none."""
    row = _row(values, place)
    return float(row[row != 0].mean()) if (row != 0).any() else None


def pearson(a: Array, b: Array) -> float:
    """Pearson's r; EvaluationError where one side does not vary."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        raise EvaluationError("a correlation needs values that differ")
    return float(np.clip(np.corrcoef(a, b)[0, 1], -1.0, 1.0))


def _row(values: ArrayLike, place: int) -> Array:
    row = np.asarray(values, dtype=np.float64)
    if row.ndim != 1 or not np.isfinite(row).all() or (row < 0).any():
        raise EvaluationError(
            f"utterance {place} is no row of finite numbers of 0 or more (shape {row.shape})"
        )
    return row


def _same(wanted: int, got: int, what: str, per: str) -> None:
    if wanted != got:
        raise EvaluationError(f"got {got} {what} for {wanted} {per}")

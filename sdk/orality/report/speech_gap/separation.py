"""Can golden and synthetic speech be told apart? A classifier two-sample test with its interval.

A two-dimensional picture alone misleads: clusters in t-SNE may be noise, and overlap there may
hide a difference. The area under the curve (AUC) of a classifier on prompts it has not seen says
how far apart two samples are: 0.5 is not at all, 1 is fully (Lopez-Paz and Oquab, 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from orality.errors import EvaluationError

Vectors = NDArray[np.float64]
PENALTY = 0.1  # of the weights' squares, beside the mean loss; fixed, so nothing is tuned


@dataclass(frozen=True, slots=True)
class Separation:
    """The AUC with its interval; `prompts` were seen in both samples, `vectors` in all."""

    auc: float
    low: float
    high: float
    level: float
    prompts: int
    vectors: int
    folds: int


def separation(
    golden: Vectors,
    synthetic: Vectors,
    *,
    golden_prompts: Sequence[str],
    synthetic_prompts: Sequence[str],
    folds: int = 5,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Separation | None:
    """How well a logistic regression tells `golden` (n, d) from `synthetic` (m, d).

    All vectors of a prompt are in the same fold, so that no prompt is both learned and tested;
    only scores of the same fold are compared. The interval is a bootstrap over prompts. None with
    fewer than two prompts a fold. Raises EvaluationError where shapes do not fit or values are not
    finite.
    """
    _check(golden, synthetic, golden_prompts, synthetic_prompts)
    names = sorted({*golden_prompts} & {*synthetic_prompts})
    if len(names) < 2 * folds:
        return None
    draw = np.random.default_rng(seed)
    place = {name: fold % folds for fold, name in enumerate(draw.permutation(names))}
    index = {name: number for number, name in enumerate(names)}
    x = np.concatenate([golden, synthetic]).astype(np.float64)
    is_golden = np.arange(len(x)) < len(golden)
    prompt = np.array([index.get(name, -1) for name in (*golden_prompts, *synthetic_prompts)])
    fold = np.array([place.get(name, -1) for name in (*golden_prompts, *synthetic_prompts)])
    wins = []
    for number in range(folds):
        seen, tested = (fold != number) & (fold >= 0), fold == number
        scores = _fit(x[seen], is_golden[seen], x[tested])
        left, right = scores[is_golden[tested]], scores[~is_golden[tested]]
        order = (left[:, None] > right) + 0.5 * (left[:, None] == right)
        chosen = prompt[tested]
        wins.append((order, chosen[is_golden[tested]], chosen[~is_golden[tested]]))
    auc = _auc(wins, np.ones(len(names)))
    drawn = [_auc(wins, weights) for weights in _weights(place, names, folds, resamples, draw)]
    low, high = np.quantile([value for value in drawn if np.isfinite(value)],
                            [(1 - level) / 2, (1 + level) / 2])  # fmt: skip
    return Separation(auc, float(low), float(high), level, len(names), len(x), folds)


def _weights(
    place: dict[str, int], names: Sequence[str], folds: int, resamples: int,
    draw: np.random.Generator,
) -> list[NDArray[np.float64]]:  # fmt: skip
    """How often each prompt is drawn; within its fold, whose classifier stays as it is."""
    found = np.zeros((resamples, len(names)))
    where = np.array([place[name] for name in names])
    for number in range(folds):
        inside = np.flatnonzero(where == number)
        found[:, inside] = draw.multinomial(
            len(inside), np.full(len(inside), 1 / len(inside)), size=resamples
        )
    return list(found)


def _auc(
    wins: Sequence[tuple[Vectors, NDArray[np.int64], NDArray[np.int64]]], weights: Vectors
) -> float:
    won = total = 0.0
    for order, left, right in wins:
        a, b = weights[left], weights[right]
        won += float(a @ order @ b)
        total += float(a.sum() * b.sum())
    return won / total if total else float("nan")


def _fit(x: Vectors, label: NDArray[np.bool_], tested: Vectors) -> Vectors:
    """Scores of `tested` from a logistic regression, both labels weighing the same."""
    mean, scale = x.mean(axis=0), x.std(axis=0)
    used = scale > 1e-12
    x = (x[:, used] - mean[used]) / scale[used]
    tested = (tested[:, used] - mean[used]) / scale[used]
    sign = np.where(label, 1.0, -1.0)
    share = np.where(label, 0.5 / label.sum(), 0.5 / (~label).sum())

    def loss(theta: Vectors) -> tuple[float, Vectors]:
        margin = sign * (x @ theta[1:] + theta[0])
        slope = -sign * share * special.expit(-margin)
        value = float(share @ np.logaddexp(0, -margin) + 0.5 * PENALTY * theta[1:] @ theta[1:])
        return value, np.concatenate([[slope.sum()], x.T @ slope + PENALTY * theta[1:]])

    found = optimize.minimize(
        loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 200}
    )
    scores: Vectors = tested @ found.x[1:] + found.x[0]
    return scores


def _check(
    golden: Vectors, synthetic: Vectors, golden_prompts: Sequence[str],
    synthetic_prompts: Sequence[str],
) -> None:  # fmt: skip
    if golden.ndim != 2 or synthetic.ndim != 2 or golden.shape[1] != synthetic.shape[1]:
        raise EvaluationError(
            f"golden vectors of shape {golden.shape} and synthetic ones of shape "
            f"{synthetic.shape} do not compare: wanted (n, d) and (m, d)"
        )
    if len(golden) != len(golden_prompts) or len(synthetic) != len(synthetic_prompts):
        raise EvaluationError(
            f"{len(golden)} and {len(synthetic)} vectors have {len(golden_prompts)} and "
            f"{len(synthetic_prompts)} prompts; wanted one each"
        )
    if not (np.isfinite(golden).all() and np.isfinite(synthetic).all()):
        raise EvaluationError("a representation holds values that are not finite")

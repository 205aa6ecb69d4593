"""CrowdMOS: mean opinion scores whose interval knows that raters and items differ.

A rating is Z_ij = mu + rater_i + item_j + error_ij. The three variances are solved from moments,
and Var(mu) weighs them by how often each rater and item occurs. The naive interval takes all
ratings for independent and comes out several times too narrow. Source: Ribeiro, Florencio, Zhang
and Seltzer, "CrowdMOS" (ICASSP 2011).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from orality.errors import EvaluationError
from orality.evaluation.statistics.intervals import Interval

MIN_CORRELATION = 0.25
By = Literal["item", "system", "both"]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OpinionScore:
    """A system's mean opinion score. `n` ratings by `raters` of `items`.

    `ci` is CrowdMOS's interval and `naive_ci` the one of independent ratings; None where too few
    ratings leave it open.
    """

    mean: float
    ci: Interval | None
    naive_ci: Interval | None
    n: int
    raters: int
    items: int


def opinion_score(ratings: ArrayLike, *, level: float = 0.95) -> OpinionScore:
    """The mean of a raters x items matrix (missing: NaN) with both its intervals."""
    matrix = _matrix(ratings)
    given = ~np.isnan(matrix)
    return OpinionScore(
        mean=mean_opinion(matrix),
        ci=crowdmos_interval(matrix, level=level),
        naive_ci=naive_interval(matrix, level=level),
        n=int(given.sum()),
        raters=int(given.any(axis=1).sum()),
        items=int(given.any(axis=0).sum()),
    )


def mean_opinion(ratings: ArrayLike) -> float:
    """The mean of all ratings given; NaN if there are none."""
    matrix = _matrix(ratings)
    return float(np.nanmean(matrix)) if (~np.isnan(matrix)).any() else math.nan


def opinion_variance(ratings: ArrayLike) -> float:
    """Var(mu) of the mean of a raters x items matrix (missing: NaN).

    Where no item has two ratings, or no rater gave two, what cannot be told apart is taken
    together; NaN with fewer than two ratings.
    """
    matrix = _matrix(ratings)
    given = ~np.isnan(matrix)
    total = int(given.sum())
    if total < 2:
        return math.nan
    items, raters, error = _components(matrix)
    per_item, per_rater = given.sum(axis=0), given.sum(axis=1)
    return float(
        items * (per_item**2).sum() / total**2
        + raters * (per_rater**2).sum() / total**2
        + error / total
    )


def _components(matrix: Matrix) -> tuple[float, float, float]:
    """The variances of items, raters and error; negative solutions are 0, as in the paper."""
    all_three = _variance(matrix.ravel())
    item_error = _mean_variance(matrix)  # within a rater: items + error
    rater_error = _mean_variance(matrix.T)  # within an item: raters + error
    if math.isnan(item_error) and math.isnan(rater_error):
        return 0.0, 0.0, all_three
    if math.isnan(item_error):
        return 0.0, max(all_three - rater_error, 0.0), rater_error
    if math.isnan(rater_error):
        return max(all_three - item_error, 0.0), 0.0, item_error
    return (
        max(all_three - rater_error, 0.0),
        max(all_three - item_error, 0.0),
        max(item_error + rater_error - all_three, 0.0),
    )


def crowdmos_interval(ratings: ArrayLike, *, level: float = 0.95) -> Interval | None:
    """The interval of the mean: t with min(matrix shape) - 1 degrees of freedom.

    None with a single row or column, or fewer than two ratings, where it would be unbounded.
    """
    matrix = _matrix(ratings)
    freedom, variance = min(matrix.shape) - 1, opinion_variance(matrix)
    if freedom < 1 or math.isnan(variance):
        return None
    half = float(stats.t.ppf(0.5 * (1 + level), freedom)) * math.sqrt(variance)
    mean = mean_opinion(matrix)
    return Interval("crowdmos", level, mean - half, mean + half)


def naive_interval(ratings: ArrayLike, *, level: float = 0.95) -> Interval | None:
    """mean +- z * sd / sqrt(n), as if every rating were independent; None below two ratings."""
    matrix = _matrix(ratings)
    values = matrix[~np.isnan(matrix)]
    if len(values) < 2:
        return None
    half = float(stats.norm.ppf(0.5 * (1 + level)) * values.std() / math.sqrt(len(values)))
    return Interval("naive-normal", level, float(values.mean()) - half, float(values.mean()) + half)


def rater_correlations(ratings: ArrayLike | Sequence[ArrayLike], *, by: By = "item") -> list[float]:
    """How well each rater agrees with the mean of all others (leaving the rater out).

    `ratings`: systems x raters x items, or raters x items of one system; missing: NaN. `by`: over
    rated samples (`item`), over systems' means (`system`), or the mean of both, as some ports of
    CrowdMOS have it. NaN where that is not defined (a constant rater, nobody else rated the same).

    The default looks at samples alone: the correlation over two systems is always 1 or -1, and
    who is left out by it is left out for an opinion on the very question.
    """
    cube = np.asarray(ratings, dtype=np.float64)
    cube = cube[None] if cube.ndim == 2 else cube
    if cube.ndim != 3 or np.isinf(cube).any():
        raise EvaluationError("ratings are systems x raters x items, finite or NaN where missing")
    if by not in get_args(By):
        raise EvaluationError(f"raters are compared by item, system or both, got {by!r}")
    found = []
    for rater in range(cube.shape[1]):
        others = np.delete(cube, rater, axis=1)
        known = []
        if by != "system":
            known.append(_correlation(cube[:, rater].ravel(), _nanmean(others, axis=1).ravel()))
        if by != "item":
            means = _nanmean(others, axis=(1, 2))
            known.append(_correlation(_nanmean(cube[:, rater], axis=1), means))
        known = [value for value in known if not math.isnan(value)]
        found.append(sum(known) / len(known) if known else math.nan)
    return found


def outlying_raters(
    ratings: ArrayLike | Sequence[ArrayLike],
    *,
    min_correlation: float = MIN_CORRELATION,
    by: By = "item",
) -> list[int]:
    """Indices of raters whose correlation with the others is below `min_correlation`.

    A rater whose correlation is not defined is kept: nothing speaks against them.
    """
    return [i for i, r in enumerate(rater_correlations(ratings, by=by)) if r < min_correlation]


def _matrix(ratings: ArrayLike) -> Matrix:
    matrix = np.asarray(ratings, dtype=np.float64)
    if matrix.ndim != 2 or np.isinf(matrix).any():
        raise EvaluationError(
            "ratings are a matrix of raters x items, finite or NaN where a rating is missing; got "
            f"{matrix.ndim} dimensions"
        )
    return matrix


def _mean_variance(matrix: Matrix) -> float:
    """The mean of the rows' variances, over rows with two values or more; NaN without any."""
    found = [value for value in map(_variance, matrix) if not math.isnan(value)]
    return sum(found) / len(found) if found else math.nan


def _variance(values: NDArray[np.float64]) -> float:
    given = values[~np.isnan(values)]
    return float(given.var()) if len(given) > 1 else math.nan


def _nanmean(values: NDArray[np.float64], axis: Any) -> NDArray[np.float64]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a mean of nothing is NaN, as wanted
        return np.asarray(np.nanmean(values, axis=axis), dtype=np.float64)


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    both = ~(np.isnan(a) | np.isnan(b))
    if both.sum() < 2 or np.ptp(a[both]) == 0 or np.ptp(b[both]) == 0:
        return math.nan
    return float(np.corrcoef(a[both], b[both])[0, 1])

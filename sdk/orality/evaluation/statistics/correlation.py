"""How well a judge agrees with people, and people with each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from orality.errors import EvaluationError
from orality.evaluation.statistics.intervals import Clusters, Interval, Values

_CHUNK = 2_000_000  # weights held at once
Method = Literal["pearson", "spearman"]
Scale = Literal["nominal", "ordinal", "interval"]


@dataclass(frozen=True, slots=True)
class Correlation:
    """A coefficient over `n` items with its interval and the p-value of no correlation."""

    method: Method
    r: float
    ci: Interval | None
    p_value: float
    n: int


def correlate(
    a: Values,
    b: Values,
    clusters: Clusters | None = None,
    *,
    method: Method = "pearson",
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Correlation:
    """The correlation of paired scores, one pair per item.

    Without `clusters` the interval is Fisher's (for Spearman with Bonett and Wright's (2000)
    variance), None below four items. With `clusters` whole clusters are drawn with replacement:
    continuations of one prompt are not independent. EvaluationError for scores that are not
    finite, fewer than three items, or scores that are all the same, which correlate with nothing.
    """
    if method not in get_args(Method):
        raise EvaluationError(f"the method is pearson or spearman, got {method!r}")
    x, y = (np.asarray(values, dtype=np.float64) for values in (a, b))
    if x.shape != y.shape or x.ndim != 1 or not np.isfinite([x, y]).all():
        raise EvaluationError("a correlation takes two equally long rows of finite scores")
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        raise EvaluationError(
            f"{len(x)} items, scores {_span(x)} and {_span(y)}: a correlation needs at least three "
            "items and scores that differ"
        )
    function = stats.pearsonr if method == "pearson" else stats.spearmanr
    found = function(x, y)
    r = float(found.statistic)
    if clusters is None:
        ci = _fisher(r, len(x), method, level)
    else:
        ci = _drawn(x, y, clusters, method, level, resamples, seed)
    return Correlation(method, r, ci, float(found.pvalue), len(x))


def krippendorff_alpha(ratings: ArrayLike, *, scale: Scale = "ordinal") -> float:
    """Agreement of raters: 1 is perfect, 0 what chance gives. Raters x items, missing: NaN.

    NaN where no item has two ratings or all ratings are the same. Source: Krippendorff, "Computing
    Krippendorff's Alpha-Reliability" (2011).
    """
    matrix = np.asarray(ratings, dtype=np.float64)
    values, places = np.unique(matrix[~np.isnan(matrix)], return_inverse=True)
    codes = np.full(matrix.shape, -1)
    codes[~np.isnan(matrix)] = places
    coincidences = np.zeros((len(values), len(values)))
    for item in codes.T:
        counts = np.bincount(item[item >= 0], minlength=len(values)).astype(float)
        if counts.sum() > 1:
            coincidences += (np.outer(counts, counts) - np.diag(counts)) / (counts.sum() - 1)
    totals = coincidences.sum(axis=0)
    distance = _distances(values, totals, scale)
    expected = (np.outer(totals, totals) * distance).sum()
    if expected == 0:
        return math.nan
    return float(1 - (totals.sum() - 1) * (coincidences * distance).sum() / expected)


def _distances(
    values: NDArray[np.float64], totals: NDArray[np.float64], scale: Scale
) -> NDArray[np.float64]:
    if scale == "nominal":
        return 1.0 - np.eye(len(values))
    if scale == "interval":
        return np.asarray(np.subtract.outer(values, values) ** 2, dtype=np.float64)
    if scale == "ordinal":
        ranks = np.cumsum(totals) - totals / 2
        return np.asarray(np.subtract.outer(ranks, ranks) ** 2, dtype=np.float64)
    raise EvaluationError(f"the scale is nominal, ordinal or interval, got {scale!r}")


def _fisher(r: float, n: int, method: Method, level: float) -> Interval | None:
    if n < 4:
        return None
    if abs(r) >= 1:
        return Interval("fisher-z", level, r, r)
    variance = (1 + r**2 / 2 if method == "spearman" else 1.0) / (n - 3)
    half = float(stats.norm.ppf(0.5 * (1 + level))) * math.sqrt(variance)
    name = "fisher-z" if method == "pearson" else "fisher-z-bonett-wright"
    return Interval(name, level, math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half))


def _drawn(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    clusters: Sequence[str],
    method: Method,
    level: float,
    resamples: int,
    seed: int,
) -> Interval | None:
    if len(clusters) != len(x):
        raise EvaluationError(f"got {len(x)} items and {len(clusters)} clusters")
    groups: dict[str, list[int]] = {}
    for index, name in enumerate(clusters):
        if name is None or name == "":
            raise EvaluationError(f"item {index} has no cluster")
        groups.setdefault(name, []).append(index)
    if len(groups) < 3:
        return None
    place = np.empty(len(x), dtype=int)
    for number, group in enumerate(groups.values()):
        place[group] = number
    rng = np.random.default_rng(seed)
    found = []
    step = max(1, _CHUNK // len(x))
    for start in range(0, resamples, step):
        even = np.full(len(groups), 1 / len(groups))
        drawn = rng.multinomial(len(groups), even, size=min(step, resamples - start))
        weights = drawn[:, place].astype(float)  # how often each item is in each resample
        found.append(_weighted(x, y, weights, ranked=method == "spearman"))
    known = np.concatenate(found)
    known = known[np.isfinite(known)]
    if len(known) < resamples / 2:
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval("cluster-bootstrap", level, float(low), float(high))


def _weighted(
    x: NDArray[np.float64], y: NDArray[np.float64], weights: NDArray[np.float64], *, ranked: bool
) -> NDArray[np.float64]:
    """The correlation in each row of `weights` (resamples, items); NaN where a side is constant."""
    left, right = (_ranks(v, weights) if ranked else v[None, :] for v in (x, y))
    total = weights.sum(axis=1, keepdims=True)
    left = left - (weights * left).sum(axis=1, keepdims=True) / total
    right = right - (weights * right).sum(axis=1, keepdims=True) / total
    spread = (weights * left**2).sum(axis=1) * (weights * right**2).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (weights * left * right).sum(axis=1) / np.sqrt(spread)
    return np.where(spread > 1e-12, found, np.nan)


def _ranks(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean ranks of values that occur `weights` times, up to a constant."""
    different, place = np.unique(values, return_inverse=True)
    counts = np.zeros((len(weights), len(different)))
    for index, column in enumerate(place):
        counts[:, column] += weights[:, index]
    ranks = np.cumsum(counts, axis=1) - counts / 2
    return np.asarray(ranks[:, place], dtype=np.float64)


def _span(values: NDArray[np.float64]) -> str:
    return f"{values.min():g} to {values.max():g}" if len(values) else "(none)"

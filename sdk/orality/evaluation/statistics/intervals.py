"""Intervals and tests for tables: what a difference between two systems is worth.

An observation is a cluster (a word in all its voices, a prompt with all its samples): what lies
inside one is not independent. Every statistic is a mean over clusters of the cluster's mean.
Functions take one value per cluster, or one per item and `clusters` beside them; a value that is
no finite number and an item without a cluster are errors, never left out.

Sources: Hesterberg, "What teachers should know about the bootstrap" (2015), for the expanded
percentile; Phipson and Smyth (2010) for the Monte Carlo p-value; Holm (1979).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from orality.errors import EvaluationError

Values = Sequence[float] | NDArray[np.float64]
Clusters = Sequence[str]
_CHUNK = 4_000_000  # random numbers held at once


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval and the method that made it."""

    method: str
    level: float
    low: float
    high: float


def cluster_means(values: Values, clusters: Clusters) -> dict[str, float]:
    """The mean of each cluster's values, in order of first appearance.

    EvaluationError for a value that is no finite number, a missing cluster (None, empty, NaN), or
    unequal lengths.
    """
    data, names = _finite(values), list(clusters)
    if len(data) != len(names):
        raise EvaluationError(f"got {len(data)} values and {len(names)} clusters")
    groups: dict[str, list[float]] = {}
    for value, name in zip(data.tolist(), names, strict=True):
        if name is None or name == "" or name != name:
            raise EvaluationError(
                f"a value ({value:g}) has no cluster; give each item one, its own id if it is "
                "independent of the others"
            )
        groups.setdefault(name, []).append(value)
    return {name: math.fsum(group) / len(group) for name, group in groups.items()}


def pair_items(a: Mapping[str, float], b: Mapping[str, float]) -> tuple[list[float], list[float]]:
    """Both systems' values in the order of `a`, paired by item id.

    EvaluationError, naming some, when an item is missing on either side.
    """
    alone = [f"{name} (not in the second)" for name in a if name not in b]
    alone += [f"{name} (not in the first)" for name in b if name not in a]
    if alone:
        raise EvaluationError(
            f"{len(alone)} items lack their counterpart: {', '.join(alone[:3])}; a paired test "
            "needs every item of both systems: leave them out of both, and say how many"
        )
    return list(a.values()), [b[name] for name in a]


def bootstrap_interval(
    values: Values,
    clusters: Clusters | None = None,
    *,
    transform: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval | None:
    """An interval for `transform(mean)`, drawing whole clusters with replacement.

    Percentile bootstrap, its tails widened so that small samples keep their coverage. None with
    fewer than two clusters, where nothing can be said.
    """
    data = _by_cluster(values, clusters)
    if len(data) < 2:
        return None
    means = _resampled_means(data, resamples, np.random.default_rng(seed))
    if transform is not None:
        means = transform(means)
    low, high = np.quantile(means, expanded_tails(len(data), level))
    return Interval("cluster-bootstrap", level, float(low), float(high))


def accuracy_interval(
    values: Values,
    clusters: Clusters | None = None,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval | None:
    """The bootstrap's interval of an accuracy, or the exact binomial one if all agree.

    Where every cluster is right (or every one wrong) a bootstrap would claim certainty.
    """
    data = _by_cluster(values, clusters)
    if len(data) and (np.all(data == 1) or np.all(data == 0)):
        return binomial_interval(int(data.sum()), len(data), level=level)
    return bootstrap_interval(data, level=level, resamples=resamples, seed=seed)


def binomial_interval(successes: int, trials: int, *, level: float = 0.95) -> Interval:
    """The exact (Clopper-Pearson) interval of a share; EvaluationError without any trial."""
    if not 0 <= successes <= trials or trials == 0:
        raise EvaluationError(f"{successes} of {trials} is no share; give at least one trial")
    exact = stats.binomtest(successes, trials).proportion_ci(level, "exact")
    return Interval("clopper-pearson", level, float(exact.low), float(exact.high))


def paired_interval(
    a: Values,
    b: Values,
    clusters: Clusters | None = None,
    *,
    transform: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval | None:
    """An interval for transform(mean(a)) - transform(mean(b)), clusters drawn for both at once."""
    left, right = _paired(a, b, clusters)
    if len(left) < 2:
        return None
    # The same seed draws the same clusters.
    means = [_resampled_means(x, resamples, np.random.default_rng(seed)) for x in (left, right)]
    if transform is not None:
        means = [transform(x) for x in means]
    low, high = np.quantile(means[0] - means[1], expanded_tails(len(left), level))
    return Interval("paired-cluster-bootstrap", level, float(low), float(high))


def permutation_p(
    a: Values,
    b: Values,
    clusters: Clusters | None = None,
    *,
    resamples: int = 9999,
    seed: int = 0,
) -> float:
    """Two-sided p-value of mean(a) = mean(b) for paired items, flipping whole clusters' signs.

    Exact where at most 12 clusters differ; otherwise Monte Carlo with (k + 1) / (resamples + 1),
    which never gives 0.
    """
    left, right = _paired(a, b, clusters)
    differences = left - right
    differences = differences[differences != 0]
    count = len(differences)
    if count == 0:
        return 1.0
    observed = abs(float(differences.sum())) * (1 - 1e-12)  # sums in another order still count
    if count <= 12:
        bits = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
        return float(np.mean(np.abs((1 - 2 * bits) @ differences) >= observed))
    rng = np.random.default_rng(seed)
    total, reached, step = 0, 0, max(1, _CHUNK // count)
    while total < resamples:
        rows = min(step, resamples - total)
        signs = rng.integers(0, 2, size=(rows, count), dtype=np.int8) * 2.0 - 1.0
        reached += int(np.sum(np.abs(signs @ differences) >= observed))
        total += rows
    return (reached + 1) / (resamples + 1)


def mcnemar_p(a: Values, b: Values) -> float:
    """Exact two-sided McNemar test for paired right (1) and wrong (0) answers."""
    left, right = _paired(a, b)
    if not np.all(np.isin([left, right], (0.0, 1.0))):
        raise EvaluationError("McNemar's test takes answers that are right (1) or wrong (0)")
    wins, losses = int(np.sum(left > right)), int(np.sum(left < right))
    return float(stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction of a family of p-values, in the order given.

    EvaluationError for what is no probability: a NaN among them would corrupt the others.
    """
    bad = [value for value in p_values if not 0 <= value <= 1]
    if bad:
        raise EvaluationError(f"Holm's correction takes p-values in [0, 1], got {bad[0]}")
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def bootstrap_p(draws: NDArray[np.float64], count: int) -> float:
    """Two-sided p-value that a statistic is 0, from its bootstrap's draws over `count` clusters.

    It is 1 minus the level at which the interval of `expanded_tails` would just reach 0, so that it
    is below 0.05 where the 95 % interval excludes 0; never below what the draws can resolve.
    """
    reached = 1 + min(int(np.sum(draws <= 0)), int(np.sum(draws >= 0)))
    share = min(0.5, reached / (len(draws) + 1))
    quantile = float(stats.norm.ppf(share)) * math.sqrt((count - 1) / count)
    return min(1.0, 2 * float(stats.t.cdf(quantile, count - 1)))


def expanded_tails(count: int, level: float) -> tuple[float, float]:
    """The two shares at which a percentile interval of `count` clusters is read off the draws."""
    quantile = math.sqrt(count / (count - 1)) * stats.t.ppf((1 - level) / 2, count - 1)
    tail = float(stats.norm.cdf(quantile))
    return tail, 1 - tail


def _resampled_means(
    data: NDArray[np.float64], resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    step = max(1, _CHUNK // len(data))
    parts = []
    for start in range(0, resamples, step):
        size = (min(step, resamples - start), len(data))
        parts.append(data[rng.integers(0, len(data), size=size)].mean(axis=1))
    return np.concatenate(parts)


def _paired(
    a: Values, b: Values, clusters: Clusters | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if len(a) != len(b):
        raise EvaluationError(
            f"a paired test needs as many values of both, got {len(a)} and {len(b)}"
        )
    return _by_cluster(a, clusters), _by_cluster(b, clusters)


def _by_cluster(values: Values, clusters: Clusters | None) -> NDArray[np.float64]:
    if clusters is None:
        return _finite(values)
    return np.array(list(cluster_means(values, clusters).values()), dtype=np.float64)


def _finite(values: Values) -> NDArray[np.float64]:
    try:
        data = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise EvaluationError(f"statistics take numbers: {error}") from error
    if data.ndim != 1 or not np.isfinite(data).all():
        raise EvaluationError("statistics take one finite number per cluster or item")
    return data

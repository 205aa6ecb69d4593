"""From observations to a system's figure, also where the figure is no mean of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np
from numpy.typing import NDArray

from orality.evaluation.aggregate import GENERATION, Measured, measure_items
from orality.evaluation.continuations.metric import Summary
from orality.evaluation.results import Item, Metric
from orality.evaluation.statistics.intervals import Interval, cluster_means, expanded_tails

Array = NDArray[np.float64]
_LEVEL, _RESAMPLES = 0.95, 2000


def summarize(items: Sequence[Item], summary: Summary, *, seed: int) -> Measured | None:
    """One system's figure of one metric, None if no item has a value.

    Means come with what a paired test needs. The others are functions of sums over items, with a
    cluster bootstrap's interval (none for the median) and without a test.
    """
    if summary in ("mean", "exp-mean", "mean-exp"):
        logarithmic = summary == "exp-mean"
        return measure_items(items, benchmark=GENERATION, seed=seed, logarithmic=logarithmic)
    known = [item for item in items if item.value is not None]
    if not known:
        return None
    if summary == "median-exp":
        value, interval = median(item.value or 0.0 for item in known), None
    else:
        figure = figure_of(summary)
        table = np.stack(list(cluster_rows(known, summary).values()))
        value = float(figure(table.sum(axis=0)))
        if not math.isfinite(value):
            return None
        interval = _interval(table, figure, seed)
    first = items[0]
    counts = (len(known), len(items) - len(known), 0)
    return Measured(
        Metric(first.system, first.metric, GENERATION, None, value, *counts, interval), {}
    )


def cluster_rows(items: Sequence[Item], summary: Summary) -> dict[str, Array]:
    """One row per cluster of items that have a value; `figure_of` makes the figure of their sum."""
    known = [item for item in items if item.value is not None]
    if summary == "mean":
        means = cluster_means([item.value or 0.0 for item in known], [i.cluster for i in known])
        return {name: np.array([1.0, mean]) for name, mean in means.items()}
    rows: dict[str, Array] = {}
    for item in known:
        row = np.array(_COLUMNS[summary](item), dtype=np.float64)
        rows[item.cluster] = rows.get(item.cluster, 0.0) + row
    return rows


def figure_of(summary: Summary) -> Callable[[Array], Array]:
    """From sums of `cluster_rows`, shape (columns, ...), to the figure, shape (...)."""
    return _FIGURES[summary]


def _interval(table: Array, figure: Callable[[Array], Array], seed: int) -> Interval | None:
    if len(table) < 2:
        return None
    rng, drawn = np.random.default_rng(seed), []
    for _ in range(0, _RESAMPLES, 100):
        # How often each cluster is drawn: (100, clusters) times (clusters, columns)
        times = rng.multinomial(len(table), np.full(len(table), 1 / len(table)), size=100)
        drawn.append(figure((times @ table).T))
    values = np.concatenate(drawn)
    values = values[np.isfinite(values)]  # a draw in which nothing varies has no correlation
    if len(values) < _RESAMPLES // 2:
        return None
    low, high = np.quantile(values, expanded_tails(len(table), _LEVEL))
    return Interval("cluster-bootstrap", _LEVEL, float(low), float(high))


def _of_mean(sums: Array) -> Array:
    count, total = sums
    return np.asarray(total / count)


def _of_vert(sums: Array) -> Array:
    count, between, within = sums
    return np.asarray(np.sqrt(between * within) / count)


def _of_tokens(sums: Array) -> Array:
    return np.asarray(np.exp(np.minimum(sums[0] / sums[1], 709.0)))


def _of_std(sums: Array) -> Array:
    count, total, squares = sums
    return np.asarray(np.sqrt(np.maximum(squares / count - (total / count) ** 2, 0.0)))


def _of_pearson(sums: Array) -> Array:
    count, x, y, xx, yy, xy = sums
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt((count * xx - x**2) * (count * yy - y**2))
        return np.where(spread > 1e-9 * np.abs(xy) + 1e-12, (count * xy - x * y) / spread, np.nan)


def _pair(item: Item) -> Sequence[float]:
    x, y = float(item.details["prompt"]), float(item.value or 0.0)
    return 1.0, x, y, x * x, y * y, x * y


_COLUMNS: dict[Summary, Callable[[Item], Sequence[float]]] = {
    "vert": lambda item: (1.0, item.details["self_bleu"], item.details["auto_bleu"]),
    "token-mean": lambda item: (item.details["nll"], item.details["tokens"]),
    "std": lambda item: (item.details["count"], item.details["sum"], item.details["squares"]),
    "pearson": _pair,
}
_FIGURES: dict[Summary, Callable[[Array], Array]] = {
    "mean": _of_mean,
    "vert": _of_vert,
    "token-mean": _of_tokens,
    "std": _of_std,
    "pearson": _of_pearson,
}

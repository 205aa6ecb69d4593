"""From items to figures: means with intervals, and paired comparisons of systems."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from orality.errors import EvaluationError
from orality.evaluation.continuations.metric import PERPLEXITY
from orality.evaluation.likelihood.accuracy import Accuracy
from orality.evaluation.results import Comparison, Item, Metric
from orality.evaluation.statistics.intervals import (
    accuracy_interval,
    bootstrap_interval,
    cluster_means,
    holm,
    mcnemar_p,
    paired_interval,
    permutation_p,
)

GENERATION = "prompts"
"""The benchmark's name in figures of generated continuations."""

Transform = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure with what a paired test needs: `means` by cluster, on the scale that is averaged.

    `transform` leads from the mean to the figure (exp for perplexity, None elsewhere). `items`:
    (cluster, value) by item id, where both systems answered the very same items.
    """

    metric: Metric
    means: Mapping[str, float]
    transform: Transform | None = None
    items: Mapping[str, tuple[str, float]] = field(default_factory=dict)


def measure_accuracy(
    system: str, metric: str, benchmark: str, group: str | None, found: Accuracy, *, seed: int
) -> Measured:
    """A likelihood benchmark's accuracy with its interval."""
    interval = accuracy_interval(list(found.means.values()), seed=seed)
    counts = (found.n, found.n_failed, found.n_ties)
    figure = Metric(system, metric, benchmark, group, found.value, *counts, interval)
    return Measured(figure, found.means, items=found.items)


def measure_items(
    items: Sequence[Item], *, benchmark: str, seed: int, logarithmic: bool | None = None
) -> Measured | None:
    """The mean over clusters of one system's items of one metric; None if all of them failed.

    Perplexities are averaged as logarithms, so that one bad sentence does not decide, unless
    `logarithmic` says otherwise.
    """
    first = items[0]
    if logarithmic is None:
        logarithmic = first.metric.split("/")[0] == PERPLEXITY
    known = [(item.value, item.cluster) for item in items if item.value is not None]
    if not known:
        return None
    values = [math.log(value) if logarithmic else value for value, _ in known]
    means = cluster_means(values, [cluster for _, cluster in known])
    transform: Transform | None = np.exp if logarithmic else None
    mean = math.fsum(means.values()) / len(means)
    value = math.exp(mean) if logarithmic else mean
    interval = bootstrap_interval(list(means.values()), transform=transform, seed=seed)
    metric = Metric(
        system=first.system,
        metric=first.metric,
        benchmark=benchmark,
        group=None,
        value=value,
        n=len(known),
        n_failed=len(items) - len(known),
        n_ties=0,
        ci=interval,
    )
    return Measured(metric, means, transform)


def compare(a: Measured, b: Measured, *, seed: int) -> Comparison | None:
    """Test `a` against `b` on what both have, by item where items match and else by cluster.

    None if they share nothing; what only one has is counted. Exact McNemar where every cluster is
    one right or wrong answer; otherwise (scores, ties, several voices) a paired permutation test
    of the clusters' means.
    """
    left, right, unpaired = _shared(a, b)
    if not len(left):
        return None
    change = a.transform or (lambda x: x)
    is_accuracy = a.metric.benchmark != GENERATION
    binary = is_accuracy and bool(np.isin([left, right], (0.0, 1.0)).all())
    p_value = mcnemar_p(left, right) if binary else permutation_p(left, right, seed=seed)
    return Comparison(
        metric=a.metric.metric,
        benchmark=a.metric.benchmark,
        group=a.metric.group,
        a=a.metric.system,
        b=b.metric.system,
        difference=float(change(left.mean()) - change(right.mean())),
        ci=paired_interval(left, right, transform=a.transform, seed=seed),
        p_value=p_value,
        p_holm=p_value,
        test="mcnemar-exact" if binary else "paired-permutation",
        n=len(left),
        n_unpaired=unpaired,
    )


def compare_systems(
    measured: Mapping[str, Sequence[Measured]],
    baseline: str,
    *,
    groups: Iterable[str | None] = (None,),
    seed: int,
) -> list[Comparison]:
    """Every system against `baseline`, and every later one against its predecessor.

    `measured` by system, in order. Holm's correction is made over each of the two families, all
    metrics together, over whole benchmarks only; `groups` also named are a family of their own.
    `p_holm_column` is corrected over the systems of one metric and group.
    """
    names = list(measured)
    with_baseline = [(name, baseline) for name in names if name != baseline]
    in_turn = [
        (later, earlier)
        for earlier, later in pairwise(names)
        if earlier != baseline and later != baseline
    ]
    found: list[Comparison] = []
    for pairs in (with_baseline, in_turn):
        for group in groups:
            family = []
            for a, b in pairs:
                others = {m.metric.metric: m for m in measured[b] if m.metric.group == group}
                for mine in measured[a]:
                    other = others.get(mine.metric.metric)
                    if mine.metric.group != group or other is None:
                        continue
                    comparison = compare(mine, other, seed=seed)
                    if comparison is not None:
                        family.append(comparison)
            corrected = holm([item.p_value for item in family])
            by_column = _holm_within_columns(family)
            found += [
                replace(item, p_holm=over_all, p_holm_column=over_column)
                for item, over_all, over_column in zip(family, corrected, by_column, strict=True)
            ]
    return found


def _holm_within_columns(family: Sequence[Comparison]) -> list[float]:
    """Holm's correction over the comparisons of each metric, in the family's order."""
    places: dict[str, list[int]] = {}
    for place, item in enumerate(family):
        places.setdefault(item.metric, []).append(place)
    corrected = [0.0] * len(family)
    for mine in places.values():
        for place, p in zip(mine, holm([family[i].p_value for i in mine]), strict=True):
            corrected[place] = p
    return corrected


def _shared(a: Measured, b: Measured) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Both systems' means of the same clusters, made of the same items where these match."""
    if a.items and b.items:
        shared = [name for name in a.items if name in b.items]
        clusters = [a.items[name][0] for name in shared]
        moved = [x for x, place in zip(shared, clusters, strict=True) if b.items[x][0] != place]
        if moved:
            raise EvaluationError(
                f"{a.metric.metric}: item {moved[0]} is in cluster {a.items[moved[0]][0]} of "
                f"{a.metric.system} and in {b.items[moved[0]][0]} of {b.metric.system}; the two "
                "were not measured on the same data"
            )
        left, right = (
            np.array(list(cluster_means([x.items[i][1] for i in shared], clusters).values()))
            for x in (a, b)
        )
        return left, right, len(a.items) + len(b.items) - 2 * len(shared)
    names = [name for name in a.means if name in b.means]
    left, right = (np.array([x.means[name] for name in names]) for x in (a, b))
    return left, right, len(a.means) + len(b.means) - 2 * len(names)

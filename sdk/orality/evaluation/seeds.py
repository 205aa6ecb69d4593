"""One recipe, several seeds: each seed's value, mean and standard deviation, pooled tests."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from orality.errors import EvaluationError
from orality.evaluation.aggregate import GENERATION, Measured, compare_systems, measure_items
from orality.evaluation.benchmarks.swuggy import IN_VOCABULARY, OUT_OF_VOCABULARY
from orality.evaluation.results import Item, Metric, Results
from orality.evaluation.statistics.intervals import accuracy_interval

Run = tuple[Results, Sequence[Item]]


@dataclass(frozen=True, slots=True)
class SeedSummary:
    """`sd` is the sample standard deviation (n - 1), None for a single seed."""

    mean: float
    sd: float | None
    values: Mapping[str, float]


def summarize_seeds(values: Mapping[str, float]) -> SeedSummary:
    """Mean and standard deviation of one figure by seed; EvaluationError for NaN or no seed."""
    bad = [seed for seed, value in values.items() if not math.isfinite(value)]
    if bad or not values:
        raise EvaluationError(
            f"seed {bad[0]} has the value {values[bad[0]]}; leave the seed out and say so"
            if bad
            else "there are no seeds to summarize"
        )
    known = list(values.values())
    sd = statistics.stdev(known) if len(known) > 1 else None
    return SeedSummary(math.fsum(known) / len(known), sd, dict(values))


def pool_seeds(runs: Mapping[str, Run], *, bootstrap_seed: int = 0) -> Results:
    """Results of all runs (by seed) as one: means over seeds, `sd` and `seeds` of every figure.

    Runs must hold the same systems and figures. An interval draws items, each with all its seeds;
    so it says nothing about other seeds, which is what `sd` is for. Comparisons are paired by item
    within a seed, clusters kept whole over the seeds.
    """
    figures = {seed: _figures(results) for seed, (results, _) in runs.items()}
    first_seed = next(iter(runs), None)
    if first_seed is None:
        raise EvaluationError("there are no runs to pool")
    first, first_figures = runs[first_seed][0], figures[first_seed]
    for seed, found in figures.items():
        differing = sorted(str(key) for key in found.keys() ^ first_figures.keys())
        if differing:
            raise EvaluationError(
                f"seeds {first_seed} and {seed} do not hold the same figures: {differing[0]} is "
                f"in one of them only ({len(differing)} such)"
            )
    measured: dict[str, list[Measured]] = {system.name: [] for system in first.systems}
    for key, example in first_figures.items():
        each = {seed: found[key] for seed, found in figures.items()}
        measured[example.system].append(_pooled(each, runs, bootstrap_seed))
    return Results(
        systems=first.systems,
        results=[m.metric for found in measured.values() for m in found],
        comparisons=compare_systems(
            measured, first.baseline, groups=(None, IN_VOCABULARY), seed=bootstrap_seed
        ),
        settings={**first.settings, "baseline": first.baseline, "seeds": list(runs)},
        recipe=first.recipe,
    )


def _figures(results: Results) -> dict[tuple[str, str, str | None], Metric]:
    return {(m.system, m.metric, m.group): m for m in results.results}


def _pooled(each: Mapping[str, Metric], runs: Mapping[str, Run], seed: int) -> Measured:
    """The figure over all seeds; an item of each seed is an item of its own, in its cluster."""
    example = next(iter(each.values()))
    pooled = [
        replace(item, id=f"{name}/{item.id}")
        for name, (_, items) in runs.items()
        for item in items
        if (item.system, item.metric) == (example.system, example.metric)
        and _belongs(item, example.group)
    ]
    found = measure_items(pooled, benchmark=example.benchmark, seed=seed) if pooled else None
    summary = summarize_seeds({name: metric.value for name, metric in each.items()})
    ci = found.metric.ci if found else None
    answered: dict[str, tuple[str, float]] = {}
    if found and example.benchmark != GENERATION:
        ci = accuracy_interval(list(found.means.values()), seed=seed)
        answered = {i.id: (i.cluster, i.value) for i in pooled if i.value is not None}
    metric = replace(
        example,
        value=summary.mean,
        sd=summary.sd,
        seeds=summary.values,
        ci=ci,
        n=sum(m.n for m in each.values()),
        n_failed=sum(m.n_failed for m in each.values()),
        n_ties=sum(m.n_ties for m in each.values()),
    )
    return Measured(
        metric, found.means if found else {}, found.transform if found else None, answered
    )


def _belongs(item: Item, group: str | None) -> bool:
    if group is None:
        return True
    own = item.details.get("group")
    if group == IN_VOCABULARY:
        return own not in {None, OUT_OF_VOCABULARY}
    return bool(own == group)

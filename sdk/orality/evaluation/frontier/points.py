"""From items at every temperature to points, gains over the baseline's curve, and comparisons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from orality.errors import EvaluationError
from orality.evaluation.aggregate import GENERATION, Measured, compare, measure_items
from orality.evaluation.continuations.metric import (
    GenerationMetric,
    Names,
    Summary,
    diversity,
    repetition,
    resemblance,
)
from orality.evaluation.continuations.summarize import cluster_rows, figure_of, summarize
from orality.evaluation.continuations.temperatures import AtTemperature, folder_at
from orality.evaluation.frontier.curve import ClusterPoint, gain_over_curve
from orality.evaluation.frontier.results import (
    Frontier,
    FrontierGain,
    FrontierPoint,
    PointValue,
    TemperatureComparison,
)
from orality.evaluation.results import Item
from orality.evaluation.statistics.intervals import holm

SCORE = "judge"
Corrected = TypeVar("Corrected", FrontierGain, TemperatureComparison)


def with_diversity(
    metrics: Sequence[GenerationMetric], names: Names
) -> tuple[list[GenerationMetric], list[GenerationMetric]]:
    """What is measured at every temperature, and which of it is the diversity of a curve.

    The former is `metrics` and whichever of auto-BLEU, self-BLEU and VERT they lack.
    """
    taken = {metric.id: metric for metric in metrics}
    auto_bleu, self_bleu, vert = (
        taken.get(metric.id, metric)
        for metric in (repetition(names), resemblance(names), diversity(names))
    )
    wanted = [*metrics, auto_bleu, self_bleu, vert]
    return list({metric.id: metric for metric in wanted}.values()), [auto_bleu, vert]


def make_frontier(
    found: Sequence[AtTemperature],
    metrics: Mapping[str, Summary],
    diversities: Sequence[str],
    *,
    baseline: str,
    temperature: float,
    seed: int,
) -> Frontier:
    """Points of all systems, and what each other system gains over the baseline's curve.

    `metrics`: ids with how their items become a figure; those of judges are the scores.
    `diversities`: ids of the measures at whose equal value systems are compared. Prompts that lack
    a value anywhere on the curve, or in the system's point, are left out of a gain.
    """
    curve = sorted(
        (point for point in found if point.system == baseline), key=lambda p: p.temperature
    )
    if not curve:
        raise EvaluationError(f"the baseline {baseline!r} was sampled at no temperature")
    others = [point for point in found if point.system != baseline]
    scores = [name for name in metrics if name.split("/")[0] == SCORE]
    gains: list[FrontierGain] = []
    comparisons: list[TemperatureComparison] = []
    for score in scores:
        for measure in diversities:
            each = [_gain(own, curve, score, measure, metrics[measure], seed) for own in others]
            gains += _corrected([gain for gain in each if gain is not None])
        comparisons += _comparisons(others, curve, score, seed)
    points = [_point(point, metrics, seed) for point in found]
    return Frontier(baseline, temperature, points, gains, comparisons)


def pool_frontiers(
    first: Frontier, by_seed: Mapping[str, Sequence[Item]], *, seed: int
) -> Frontier:
    """One frontier over runs of several seeds, from each run's `frontier-items.jsonl`.

    An item of each seed is an item of its own, in its prompt. Only scores and diversities are
    pooled. EvaluationError where runs do not hold the same systems and temperatures as `first`.
    """
    metrics: dict[str, Summary] = dict.fromkeys(first.scores, "mean")
    for name in first.diversities:
        metrics[name] = "vert" if name.startswith("vert/") else "mean"
    wanted = {
        folder_at(point.system, point.temperature): (point.system, point.temperature)
        for point in first.points
    }
    pooled: dict[str, dict[str, list[Item]]] = {folder: {} for folder in wanted}
    for run, items in by_seed.items():
        if {item.system for item in items} != wanted.keys():
            raise EvaluationError(
                f"seed {run} was not sampled at the same temperatures as the others; evaluate it "
                "with the same `temperatures` and `frontier`"
            )
        for item in items:
            if item.metric in metrics:
                of_point = pooled[item.system].setdefault(item.metric, [])
                of_point.append(replace(item, id=f"{run}/{item.id}"))
    found = [AtTemperature(*wanted[folder], items) for folder, items in pooled.items()]
    return make_frontier(
        found,
        metrics,
        first.diversities,
        baseline=first.baseline,
        temperature=first.temperature,
        seed=seed,
    )


def _point(point: AtTemperature, metrics: Mapping[str, Summary], seed: int) -> FrontierPoint:
    values = {}
    for name, summary in metrics.items():
        items = point.items.get(name)
        measured = summarize(items, summary, seed=seed) if items else None
        if measured is not None:
            own = measured.metric
            values[name] = PointValue(own.value, own.ci, own.n, own.n_failed)
    return FrontierPoint(point.system, point.temperature, values)


def _gain(
    own: AtTemperature,
    curve: Sequence[AtTemperature],
    score: str,
    measure: str,
    summary: Summary,
    seed: int,
) -> FrontierGain | None:
    points = [own, *curve]
    scores = [cluster_rows(point.items.get(score, []), "mean") for point in points]
    columns = [cluster_rows(point.items.get(measure, []), summary) for point in points]
    shared = [name for name in scores[0] if all(name in known for known in (*scores[1:], *columns))]
    if not shared:
        return None
    first, *rest = (
        ClusterPoint(
            np.array([mine[name][1] for name in shared]),
            np.stack([rows[name] for name in shared]),
        )
        for mine, rows in zip(scores, columns, strict=True)
    )
    gain = gain_over_curve(first, rest, figure_of(summary), seed=seed)
    return FrontierGain(
        own.system,
        own.temperature,
        score,
        measure,
        gain.diversity,
        gain.curve,
        gain.difference,
        gain.ci,
        gain.p_value,
        gain.p_value,
        gain.outside,
        gain.n,
    )


def _comparisons(
    others: Sequence[AtTemperature], curve: Sequence[AtTemperature], score: str, seed: int
) -> list[TemperatureComparison]:
    """Every other point against the baseline at each temperature."""
    base = [(point.temperature, _measured(point, score, seed)) for point in curve]
    heights = [-math.inf if mine is None else mine.metric.value for _, mine in base]
    best = int(np.argmax(heights))
    found: list[TemperatureComparison] = []
    for place, (against, theirs) in enumerate(base):
        family = []
        for own in others:
            mine = _measured(own, score, seed)
            test = mine and theirs and compare(mine, theirs, seed=seed)
            if test:
                family.append(
                    TemperatureComparison(
                        own.system,
                        own.temperature,
                        score,
                        against,
                        place == best,
                        test.difference,
                        test.ci,
                        test.p_value,
                        test.p_value,
                        test.n,
                    )
                )
        found += _corrected(family)
    return found


def _measured(point: AtTemperature, score: str, seed: int) -> Measured | None:
    items: Sequence[Item] = point.items.get(score, [])
    return measure_items(items, benchmark=GENERATION, seed=seed) if items else None


def _corrected(family: Sequence[Corrected]) -> list[Corrected]:
    corrected = holm([item.p_value for item in family])
    return [replace(item, p_holm=p) for item, p in zip(family, corrected, strict=True)]

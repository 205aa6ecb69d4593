"""Systems at several sampling temperatures: one folder of samples for each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orality.errors import EvaluationError
from orality.evaluation.continuations.metric import (
    GenerationMetric,
    Spoken,
    diversity,
    judged_perplexity,
)
from orality.evaluation.continuations.observe import observe
from orality.evaluation.continuations.sample import (
    EvaluationPrompt,
    SamplingSetup,
    continue_prompts,
)
from orality.evaluation.continuations.summarize import summarize
from orality.evaluation.metrics.tradeoff import TEMPERATURES, TemperaturePoint
from orality.evaluation.results import Item
from orality.evaluation.system import Measuring
from orality.progress import Progress, silent
from orality.protocols import SpeechLM


@dataclass(frozen=True, slots=True)
class AtTemperature:
    """One system's items at one temperature, by metric id; `Item.system` is `folder_at`'s."""

    system: str
    temperature: float
    items: Mapping[str, Sequence[Item]]


def items_of(found: Sequence[AtTemperature]) -> list[Item]:
    """All items, in order."""
    return [item for point in found for items in point.items.values() for item in items]


def folder_at(system: str, temperature: float) -> str:
    """Where a system's samples at a temperature lie, relative to the evaluation's folder."""
    return f"{system}/temperature-{temperature:g}"


def check_temperatures(temperatures: Sequence[float]) -> None:
    """EvaluationError for temperatures that are not above 0 or would share a folder."""
    bad = [t for t in temperatures if not (math.isfinite(t) and t > 0)]
    if bad:
        raise EvaluationError(f"temperatures are above 0, got {list(temperatures)}")
    if len({f"{t:g}" for t in temperatures}) < len(temperatures):
        raise EvaluationError(f"two temperatures are the same, got {list(temperatures)}")


def spoken_at(
    slm: Callable[[], SpeechLM],
    prompts: Sequence[EvaluationPrompt],
    setup: SamplingSetup,
    temperature: float,
    *,
    out: Path,
    system: str,
    settings: Mapping[str, Any],
    progress: Progress = silent,
) -> Spoken:
    """A system's continuations at a temperature, stored in `out`/`folder_at` and not drawn again.

    Seeds are those of every other system and temperature.
    """
    samples = continue_prompts(
        slm,
        prompts,
        replace(setup, sampling=replace(setup.sampling, temperature=temperature)),
        out=out,
        system=folder_at(system, temperature),
        settings=settings,
        progress=progress,
    )
    return Spoken(samples, {prompt.id: prompt for prompt in prompts}, out)


def observe_temperatures(
    work: Measuring,
    spoken: Spoken,
    prompts: Sequence[EvaluationPrompt],
    setup: SamplingSetup,
    metrics: Sequence[GenerationMetric],
    temperatures: Sequence[float],
) -> list[AtTemperature]:
    """One system's items at its evaluation's own temperature and at further ones.

    `spoken` was said at its own, and what is known of it is not measured again.
    """
    own = setup.sampling.temperature
    known: dict[str, list[Item]] = {}
    for item in work.items:
        known.setdefault(item.metric, []).append(item)
    found = {
        metric.id: known.get(metric.id) or observe(metric, spoken, work.name, work.fingerprint)
        for metric in metrics
    }
    name = folder_at(work.name, own)
    moved = {key: [replace(item, system=name) for item in some] for key, some in found.items()}
    points = [AtTemperature(work.name, own, moved)]
    for temperature in temperatures:
        if f"{temperature:g}" == f"{own:g}":
            continue
        name = folder_at(work.name, temperature)
        said = spoken_at(
            work.model,
            prompts,
            setup,
            temperature,
            out=work.out,
            system=work.name,
            settings={"system": work.fingerprint},
            progress=work.progress,
        )
        items = {metric.id: observe(metric, said, name, work.fingerprint) for metric in metrics}
        points.append(AtTemperature(work.name, temperature, items))
    return points


def sweep_temperatures(
    slm: Callable[[], SpeechLM],
    prompts: Sequence[EvaluationPrompt],
    setup: SamplingSetup,
    *,
    out: Path,
    system: str,
    temperatures: Sequence[float] = TEMPERATURES,
    perplexity: GenerationMetric | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> list[TemperaturePoint]:
    """Perplexity and VERT of a system's continuations at each temperature, for
    `perplexity_vert_tradeoff`.

    Samples are stored in `out`/`system`/temperature-<t> and not drawn again. `perplexity`: the
    judge's if not given. `settings` name what the system is. Raises EvaluationError for a
    temperature that is not positive, or at which nothing was said.
    """
    check_temperatures(temperatures)
    if not temperatures:
        raise EvaluationError("a sweep needs one temperature or more")
    setup.check(prompts)
    measure = (perplexity or judged_perplexity(setup.names), diversity(setup.names))
    points = []
    for temperature in temperatures:
        spoken = spoken_at(
            slm,
            prompts,
            setup,
            temperature,
            out=out,
            system=system,
            settings=settings or {},
            progress=progress,
        )
        name, values = folder_at(system, temperature), []
        for metric in measure:
            found = summarize(observe(metric, spoken, name, None), metric.summary, seed=seed)
            if found is None:
                raise EvaluationError(f"{name}: no sample has a value of {metric.id}")
            values.append(found.metric.value)
        points.append(TemperaturePoint(temperature, *values))
    return points

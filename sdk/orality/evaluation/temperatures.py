"""One system at several sampling temperatures: the points of GSLM's trade-off."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from orality.errors import EvaluationError
from orality.evaluation.continuations import Continuing, EvaluationPrompt, continue_prompts
from orality.evaluation.corpus_level import summarize
from orality.evaluation.generation import GenerationMetric, Spoken, diversity, judged_perplexity
from orality.evaluation.observing import observe
from orality.evaluation.tradeoff import TEMPERATURES, TemperaturePoint
from orality.progress import Progress, silent
from orality.protocols import SpeechLM


def sweep_temperatures(
    slm: Callable[[], SpeechLM],
    prompts: Sequence[EvaluationPrompt],
    how: Continuing,
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
    if not temperatures or min(temperatures) <= 0:
        raise EvaluationError(f"temperatures are above 0, got {list(temperatures)}")
    how.check(prompts)
    measure = (perplexity or judged_perplexity(how.names), diversity(how.names))
    points = []
    for temperature in temperatures:
        name = f"{system}/temperature-{temperature:g}"
        sampling = replace(how.sampling, temperature=temperature)
        samples = continue_prompts(
            slm,
            prompts,
            replace(how, sampling=sampling),
            out=out,
            system=name,
            settings=settings or {},
            progress=progress,
        )
        spoken = Spoken(samples, {prompt.id: prompt for prompt in prompts}, out)
        values = []
        for metric in measure:
            found = summarize(observe(metric, spoken, name, None), metric.summary, seed=seed)
            if found is None:
                raise EvaluationError(f"{name}: no sample has a value of {metric.id}")
            values.append(found.metric.value)
        points.append(TemperaturePoint(temperature, *values))
    return points

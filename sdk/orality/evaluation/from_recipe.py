"""What a recipe says about metrics of continuations, as an evaluation wants it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from orality.evaluation.continuations.choices import generation_metrics
from orality.feedback import ConfiguredJudge
from orality.protocols import Judge
from orality.recipe import Configured, ResolvedRecipe


def check_metrics(resolved: ResolvedRecipe) -> None:
    """EvaluationError, before any work, for metrics that could not be measured at its end."""
    recipe, transcriber = resolved.recipe, resolved.evaluation_transcriber
    generation_metrics(
        recipe.evaluation.metrics,
        judge=resolved.evaluation_judge.name,
        transcriber=None if transcriber is None else transcriber.name,
        spoken=recipe.vocoder is not None,
        further_judges=further_judges(resolved, _never),
    )


def further_judges(
    resolved: ResolvedRecipe, build: Callable[[Configured], Judge]
) -> dict[str, ConfiguredJudge]:
    """The further judges of the recipe and its evaluation by label; `build` makes one.

    What the recipe's own are built from is in the run's fingerprint; what the evaluation's are
    built from is kept with their verdicts.
    """
    recipe, parts = resolved.recipe, resolved.parts
    own = {
        label: ConfiguredJudge.of(parts[f"further_judges.{label}"], build)
        for label in recipe.further_judges
    }
    for label in recipe.evaluation.further_judges:
        part = parts[f"evaluation.further_judges.{label}"]
        settings = {"judge": {"name": part.name, **part.lasting}}
        own[label] = replace(ConfiguredJudge.of(part, build), settings=settings)
    return own


def _never(part: Configured) -> Judge:
    raise AssertionError(f"a check builds no judge, not even {part.place}")

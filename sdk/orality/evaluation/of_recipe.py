"""What a recipe says about metrics of continuations, as an evaluation wants it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from orality.components import JudgeSpec
from orality.evaluation.further_judges import FurtherJudge
from orality.evaluation.generation_choices import generation_metrics
from orality.plugins import Registry
from orality.protocols import Judge
from orality.recipe import Recipe


def check_metrics(recipe: Recipe, registry: Registry) -> None:
    """EvaluationError, before any work, for metrics that could not be measured at its end."""
    judge = recipe.evaluation.judge or recipe.judge
    heard = recipe.evaluation.transcriber or recipe.transcriber
    generation_metrics(
        recipe.evaluation.metrics,
        judge=judge.name,
        transcriber=heard.name if heard else None,
        spoken=recipe.vocoder is not None,
        further_judges=further_judges(recipe, registry, _never),
    )


def further_judges(
    recipe: Recipe, registry: Registry, build: Callable[[str], Judge]
) -> dict[str, FurtherJudge]:
    """The further judges of the recipe and its evaluation by label; `build` makes one from it."""
    found = {}
    for label, (_, choice) in recipe.labeled_judges.items():
        spec: Any = registry.find("judge", choice.name).spec
        assert isinstance(spec, JudgeSpec)
        # What the recipe's own are built from is in the run's fingerprint already.
        settings: dict[str, Any] = {}
        if label in recipe.evaluation.further_judges:
            settings = {k: v for k, v in choice.config.items() if k not in spec.config.neutral}
            settings = {"judge": {"name": choice.name, **settings}}
        found[label] = FurtherJudge(
            choice.name, partial(build, label), spec.reads, spec.scale, settings
        )
    return found


def _never(label: str) -> Judge:
    raise AssertionError(f"a check builds no judge, not even {label}")

"""The components of a recipe, each built when first asked for: a resumed run builds only those that
still have work."""

from __future__ import annotations

import logging
import time
from functools import cached_property
from typing import Any

from orality.plugins import Registry
from orality.recipe import ComponentChoice, Recipe

logger = logging.getLogger(__name__)


class LazyComponents:
    """Attributes are the built components, or None where the recipe names none."""

    def __init__(self, recipe: Recipe, registry: Registry) -> None:
        self._recipe, self._registry = recipe, registry

    def _build(self, kind: str, choice: ComponentChoice | None) -> Any:
        if choice is None:
            return None
        started = time.monotonic()
        built = self._registry.build(kind, choice.name, **choice.config)
        logger.info("%s %r is ready after %.1f s", kind, choice.name, time.monotonic() - started)
        return built

    @cached_property
    def tokenizer(self) -> Any:
        return self._build("tokenizer", self._recipe.tokenizer)

    @cached_property
    def slm(self) -> Any:
        return self._build("slm", self._recipe.slm)

    @cached_property
    def vocoder(self) -> Any:
        return self._build("vocoder", self._recipe.vocoder)

    @cached_property
    def transcriber(self) -> Any:
        return self._build("transcriber", self._recipe.transcriber)

    @cached_property
    def judge(self) -> Any:
        return self._build("judge", self._recipe.judge)

    @cached_property
    def evaluation_transcriber(self) -> Any:
        choice = self._recipe.evaluation.transcriber
        return self.transcriber if choice is None else self._build("transcriber", choice)

    @cached_property
    def evaluation_judge(self) -> Any:
        choice = self._recipe.evaluation.judge
        return self.judge if choice is None else self._build("judge", choice)

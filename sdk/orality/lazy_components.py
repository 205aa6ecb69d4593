"""The components of a recipe, each built when first asked for: a resumed run builds only those that
still have work. What each was built from is told to whoever keeps the run's manifest."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from orality.options import ComponentChoice
from orality.pair_options import verdicts_of
from orality.plugins import Registry
from orality.recipe import Recipe, kind_of
from orality.resolved import noted_checkpoints
from orality.weights import WeightFile, weight_files

logger = logging.getLogger(__name__)


class LazyComponents:
    """Attributes are the built components, or None where the recipe names none.

    `on_built` gets a component's place in the recipe (`slm`, `evaluation.judge`) and its weights.
    """

    def __init__(
        self,
        recipe: Recipe,
        registry: Registry,
        on_built: Callable[[str, Sequence[WeightFile]], object] = lambda place, weights: None,
    ) -> None:
        self._recipe, self.registry, self._on_built = recipe, registry, on_built
        self._further: dict[str, Any] = {}

    def _build(self, place: str, choice: ComponentChoice | None) -> Any:
        if choice is None:
            return None
        kind = kind_of(place)
        started = time.monotonic()
        with noted_checkpoints() as checkpoints:
            settings = self._recipe.settings(kind, choice, self.registry)
            built = self.registry.build(kind, choice.name, **settings)
        self._on_built(place, weight_files(checkpoints))
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
    def corpus_transcriber(self) -> Any:
        choice = self._recipe.corpus.transcriber
        return self.transcriber if choice is None else self._build("corpus.transcriber", choice)

    @cached_property
    def judge(self) -> Any:
        return self._build("judge", self._recipe.judge)

    def judge_of(self, verdicts: str) -> Any:
        """The judge whose verdicts are in this folder of a round; KeyError for no judge's."""
        known = {verdicts_of(label): label for label in (None, *self._recipe.further_judges)}
        label = known[verdicts]
        return self.judge if label is None else self.further_judge(label)

    def further_judge(self, label: str) -> Any:
        """The further judge of this label, of the recipe or of its evaluation."""
        if label not in self._further:
            self._further[label] = self._build(*self._recipe.labeled_judges[label])
        return self._further[label]

    @cached_property
    def evaluation_transcriber(self) -> Any:
        choice = self._recipe.evaluation.transcriber
        if choice is None:
            return self.transcriber
        return self._build("evaluation.transcriber", choice)

    @cached_property
    def evaluation_judge(self) -> Any:
        choice = self._recipe.evaluation.judge
        return self.judge if choice is None else self._build("evaluation.judge", choice)

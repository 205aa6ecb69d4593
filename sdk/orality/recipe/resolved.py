"""A recipe with its components found and configured: done once, before anything is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from orality.compatibility import Stack
from orality.plugins import Component, Registry
from orality.recipe.pair_sections import verdicts_of
from orality.text.languages import primary

if TYPE_CHECKING:
    from orality.recipe.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Configured:
    """A component with its validated settings.

    `place`: where the recipe names it, `slm` or `corpus.transcriber`. `given`: the settings as the
    recipe has them.
    """

    place: str
    component: Component
    config: Any
    given: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The component's name."""
        return self.component.spec.name

    @property
    def spec(self) -> Any:
        """What the plugin registered."""
        return self.component.spec

    @property
    def pair(self) -> tuple[Any, Any]:
        """(spec, settings)."""
        return self.component.spec, self.config

    @property
    def is_local(self) -> bool:
        """Whether nothing leaves this machine."""
        return bool(self.spec.is_local(self.config))

    @property
    def lasting(self) -> dict[str, Any]:
        """The given settings on which results depend."""
        neutral = self.spec.config.neutral
        return {key: value for key, value in self.given.items() if key not in neutral}

    def build(self) -> Any:
        """The built component: heavy imports and weights."""
        return self.component.build(self.config)


@dataclass(frozen=True)
class ResolvedRecipe:
    """A recipe and every component that it names, by place."""

    recipe: Recipe
    parts: Mapping[str, Configured]

    def first(self, *places: str) -> Configured | None:
        """The component at the first of these places that names one."""
        return next((self.parts[place] for place in places if place in self.parts), None)

    @cached_property
    def stack(self) -> Stack:
        """The five components of a round."""
        vocoder, transcriber = self.parts.get("vocoder"), self.parts.get("transcriber")
        return Stack(
            tokenizer=self.parts["tokenizer"].pair,
            slm=self.parts["slm"].pair,
            judge=self.parts["judge"].pair,
            vocoder=None if vocoder is None else vocoder.pair,
            transcriber=None if transcriber is None else transcriber.pair,
        )

    @cached_property
    def judges(self) -> dict[str, Configured]:
        """Every judge of a round, by the folder of its verdicts."""
        labels = {label: f"further_judges.{label}" for label in self.recipe.further_judges}
        found = {verdicts_of(label): self.parts[place] for label, place in labels.items()}
        return {verdicts_of(None): self.parts["judge"], **found}

    @cached_property
    def evaluation_judge(self) -> Configured:
        """The judge of held-out continuations."""
        return self.parts.get("evaluation.judge", self.parts["judge"])

    @cached_property
    def evaluation_transcriber(self) -> Configured | None:
        """The transcriber of held-out continuations."""
        return self.first("evaluation.transcriber", "transcriber")

    def written_language(self, transcriber: Configured | None) -> str:
        """The language of what a transcriber writes, which is what judges read."""
        spoken = self.recipe.language
        if transcriber is None:
            return spoken
        return transcriber.spec.output_language(transcriber.config) or spoken

    @cached_property
    def fingerprint(self) -> str:
        """The recipe's, where settings on which no result depends leave no trace."""
        neutral = {place: part.spec.config.neutral for place, part in self.parts.items()}
        return self.recipe.fingerprint_without(neutral)


def resolve(recipe: Recipe, registry: Registry) -> ResolvedRecipe:
    """Find and configure every component of a recipe.

    Raises PluginError for one that is not installed and RecipeError for settings that do not fit.
    """
    parts = {}
    for place, choice in recipe.choices.items():
        kind, given = kind_of(place), choice.config
        settings = dict(given)
        if registry.find(kind, choice.name).spec.config.language_of_recipe:
            settings["language"] = settings.get("language") or primary(recipe.language)
        component, config = registry.configure(kind, choice.name, **settings)
        parts[place] = Configured(place, component, config, given)
    return ResolvedRecipe(recipe, parts)


def kind_of(place: str) -> str:
    """The kind of component at a place of a recipe: `judge` for `evaluation.judge`."""
    section, _, key = place.rpartition(".")
    return "judge" if section.endswith("further_judges") else key

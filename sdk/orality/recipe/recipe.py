"""The recipe: everything a run depends on, read from YAML and checked before anything starts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, TypeAdapter, ValidationError, ValidationInfo, field_validator

from orality.compatibility import Stack
from orality.errors import RecipeError
from orality.plugins import Registry, load
from orality.recipe.checking import check_resolved
from orality.recipe.files import locate
from orality.recipe.pair_sections import (
    CurriculumOptions,
    SelectionOptions,
    Thresholds,
    verdicts_of,
)
from orality.recipe.resolved import ResolvedRecipe, resolve
from orality.recipe.sections import (
    Baselines,
    ComponentChoice,
    CorpusOptions,
    EvaluationOptions,
    Label,
    Pool,
    SamplingSection,
    Section,
    TrainingOptions,
)
from orality.specs import KINDS
from orality.tracking.options import TrackerOptions
from orality.types import SamplingOptions
from orality.untrusted.addresses import public
from orality.untrusted.documents import read_yaml
from orality.untrusted.validation import listed, mistakes

NOT_FINGERPRINTED = {"cluster", "description", "local_only", "tracking"}
SUPERSEDED = {"rounds", "selection", "curriculum", "training", "baselines"}
ROUND_STAGES = ("continuations", "speech", "transcripts", "verdicts", "pairs")


class Recipe(Section):
    """A whole run: components, data, rounds, training and evaluation."""

    name: str
    description: str = ""
    seed: int = 0
    language: str = "en"
    local_only: bool = False
    """Refuse components that send data to another machine."""
    corpus: CorpusOptions
    tokenizer: ComponentChoice
    slm: ComponentChoice
    vocoder: ComponentChoice | None = None
    transcriber: ComponentChoice | None = None
    judge: ComponentChoice
    further_judges: dict[Label, ComponentChoice] = Field(default_factory=dict)
    """Judges whose verdicts are stored as well, by a label; `selection.judge` may name one."""
    shard_size: int = Field(64, ge=1)
    """Prompts that are worked on, stored and resumed at a time."""
    sampling: SamplingSection = SamplingSection()
    selection: SelectionOptions = SelectionOptions()
    rounds: list[Thresholds] = Field(min_length=1)
    curriculum: CurriculumOptions = CurriculumOptions()
    training: TrainingOptions
    baselines: Baselines = Baselines()
    evaluation: EvaluationOptions = EvaluationOptions()
    tracking: list[TrackerOptions] = Field(default_factory=list)
    """Who follows the run, beyond the JSON lines in its folder."""
    cluster: dict[str, Pool] = Field(default_factory=dict)
    """How each stage is sized on a Ray cluster, by its name: no result depends on it."""

    @field_validator("evaluation")
    @classmethod
    def _labels_of_its_own(
        cls, evaluation: EvaluationOptions, info: ValidationInfo
    ) -> EvaluationOptions:
        both = sorted(set(evaluation.further_judges) & set(info.data.get("further_judges", {})))
        if both:
            raise ValueError(
                f"the labels {both} are those of further_judges, which metrics can name as well; "
                "choose others"
            )
        return evaluation

    @field_validator("cluster")
    @classmethod
    def _known_stages(cls, cluster: dict[str, Pool], info: ValidationInfo) -> dict[str, Pool]:
        further = info.data.get("further_judges", {})
        known = {"prompts", *ROUND_STAGES, *(verdicts_of(label) for label in further)}
        unknown = sorted(set(cluster) - known)
        if unknown:
            raise ValueError(f"no stage is called {unknown}; there are {sorted(known)}")
        return cluster

    @classmethod
    def load(cls, source: str | Path | Recipe) -> Recipe:
        """Read a recipe from a YAML file or by a shipped name; RecipeError lists every mistake."""
        if isinstance(source, Recipe):
            return source
        path = locate(source)
        data = read_yaml(path, RecipeError)
        if not isinstance(data, dict):
            raise RecipeError(
                f"recipe {source} must hold keys and values, not {type(data).__name__}"
            )
        return cls.parse(data, name=str(source))

    @classmethod
    def parse(cls, data: dict[str, Any], *, name: str = "recipe") -> Recipe:
        """Check a recipe given as plain data."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise RecipeError(f"recipe {name} cannot be used:{listed(mistakes(error))}") from error

    def with_corpus(self, path: str | Path) -> Recipe:
        """The same recipe on another corpus."""
        corpus = self.corpus.model_copy(update={"path": str(path)})
        return self.model_copy(update={"corpus": corpus})

    def with_fixed_cut(self, seconds: float) -> Recipe:
        """The same recipe with prompts that are cut after so many seconds, as TWIST's are."""
        changes = {"cut": "fixed", "fixed_cut": True, "prompt_seconds": seconds}
        return self.model_copy(update={"corpus": self.corpus.model_copy(update=changes)})

    def with_trackers(self, trackers: Sequence[Mapping[str, Any]]) -> Recipe:
        """The same recipe, followed by these trackers; RecipeError lists mistakes in them."""
        try:
            tracking = TypeAdapter(list[TrackerOptions]).validate_python(trackers)
        except ValidationError as error:
            raise RecipeError(
                f"recipe {self.name} cannot be tracked so:{listed(mistakes(error))}"
            ) from error
        return self.model_copy(update={"tracking": tracking})

    def dump(self, *, secrets: bool = False) -> str:
        """The whole recipe as YAML, defaults included.

        `secrets`: with users, passwords and queries of addresses, which runs are not to keep.
        """
        data = self.model_dump(mode="json")
        data = data if secrets else public(data)
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)

    @property
    def fingerprint(self) -> str:
        """sha256 over what a run folder depends on as a whole.

        Selection and training are not in it: a run goes on with others, and `superseding` moves
        away what followed from the old ones.
        """
        return self.fingerprint_without({})

    def fingerprint_without(self, neutral: Mapping[str, Collection[str]]) -> str:
        """The fingerprint without these settings of components, by the place of the component."""
        data = self.model_dump(mode="json", exclude=NOT_FINGERPRINTED | SUPERSEDED)
        for place, settings in neutral.items():
            component: dict[str, Any] = data
            for key in place.split("."):
                component = component[key]
            for setting in settings:
                component.pop(setting, None)
        if self.curriculum.prompts != "all":  # which prompts a round holds
            data["curriculum"] = self.curriculum.prompts
        # Nothing that is stored depends on them, or it says so itself.
        for name in ("metrics", "resynthesis", "further_judges", "temperatures", "frontier"):
            data["evaluation"].pop(name)
        # As in runs from before there were these.
        if self.corpus.other_languages == "skip":
            del data["corpus"]["other_languages"]
        if data["evaluation"]["temperature"] is None:
            del data["evaluation"]["temperature"]
        return hashlib.sha256(json.dumps(public(data), sort_keys=True).encode()).hexdigest()

    @property
    def evaluation_sampling(self) -> SamplingOptions:
        """How held-out prompts are continued: as in the rounds, unless the evaluation differs."""
        temperature = self.evaluation.temperature
        options = self.sampling.options
        return options if temperature is None else replace(options, temperature=temperature)

    @property
    def feedback(self) -> dict[str, Any]:
        """What the stored stages of a round depend on, as plain data."""
        return self.model_dump(mode="json", exclude={"evaluation"} | SUPERSEDED | NOT_FINGERPRINTED)

    @property
    def choices(self) -> dict[str, ComponentChoice]:
        """Every component that is named, by its place: `slm`, `evaluation.judge`."""
        sections: list[tuple[str, Any]] = [
            ("", self), ("corpus.", self.corpus), ("evaluation.", self.evaluation),
        ]  # fmt: skip
        found = {
            p + kind: getattr(section, kind, None) for p, section in sections for kind in KINDS
        }
        for section, judges in (
            ("", self.further_judges),
            ("evaluation.", self.evaluation.further_judges),
        ):
            found |= {f"{section}further_judges.{label}": judge for label, judge in judges.items()}
        return {place: choice for place, choice in found.items() if choice is not None}

    def resolve(self, registry: Registry | None = None) -> ResolvedRecipe:
        """Every component of the recipe, found and configured; nothing is built."""
        return resolve(self, registry or load())

    def check(self, registry: Registry | None = None) -> Stack:
        """The recipe's stack, or CompatibilityError with every reason why it cannot run."""
        resolved = self.resolve(registry)
        check_resolved(resolved)
        return resolved.stack

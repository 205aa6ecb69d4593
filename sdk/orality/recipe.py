"""The recipe: everything a run depends on, read from YAML and checked before anything starts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, ValidationInfo, field_validator

from orality.compat import Stack, check_stack, judge_problems, listening_problems
from orality.components import KINDS, JudgeSpec, TranscriberSpec
from orality.documents import read_yaml
from orality.errors import CompatibilityError, RecipeError
from orality.languages import primary
from orality.mistakes import listed, mistakes
from orality.options import (
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
from orality.pair_options import CurriculumOptions, SelectionOptions, Thresholds, verdicts_of
from orality.plugins import Registry, load
from orality.public_addresses import public
from orality.recipe_files import locate
from orality.tracking.options import TrackerOptions
from orality.types import SamplingOptions

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

    def with_corpus(self, path: str) -> Recipe:
        """The same recipe on another corpus."""
        corpus = self.corpus.model_copy(update={"path": path})
        return self.model_copy(update={"corpus": corpus})

    def with_fixed_cut(self, seconds: float) -> Recipe:
        """The same recipe with prompts that are cut after so many seconds, as TWIST's are."""
        changes = {"cut": "fixed", "fixed_cut": True, "prompt_seconds": seconds}
        return self.model_copy(update={"corpus": self.corpus.model_copy(update=changes)})

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
        data = self.model_dump(mode="json", exclude=NOT_FINGERPRINTED | SUPERSEDED)
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
        found |= dict(self.labeled_judges.values())
        return {place: choice for place, choice in found.items() if choice is not None}

    @property
    def labeled_judges(self) -> dict[str, tuple[str, ComponentChoice]]:
        """The further judges that metrics can name, by label: their places and components."""
        return {
            label: (f"{section}further_judges.{label}", choice)
            for section, judges in (
                ("", self.further_judges),
                ("evaluation.", self.evaluation.further_judges),
            )
            for label, choice in judges.items()
        }

    def without_neutral(self, registry: Registry) -> Recipe:
        """The same recipe without the components' settings that leave results as they are."""
        data = self.model_dump()
        for place, choice in self.choices.items():
            mine: dict[str, Any] = data
            for key in place.split("."):
                mine = mine[key]
            for setting in registry.find(kind_of(place), choice.name).spec.config.neutral:
                mine.pop(setting, None)
        return Recipe.model_validate(data)

    def stack(self, registry: Registry | None = None) -> Stack:
        """The recipe's components, found and configured; nothing is built."""
        registry = registry or load()

        configured = partial(self.configured, registry=registry)
        return Stack(
            tokenizer=configured("tokenizer", self.tokenizer),
            slm=configured("slm", self.slm),
            judge=configured("judge", self.judge),
            vocoder=configured("vocoder", self.vocoder),
            transcriber=configured("transcriber", self.transcriber),
        )

    def judge_specs(self, registry: Registry) -> dict[str, tuple[JudgeSpec[Any], Any]]:
        """Every judge of a round with its configuration, by the folder of its verdicts."""
        found = {}
        for label, choice in [(None, self.judge), *self.further_judges.items()]:
            found[verdicts_of(label)] = self.configured("judge", choice, registry)
        return found

    def settings(self, kind: str, choice: ComponentChoice, registry: Registry) -> dict[str, Any]:
        """A component's own keys, and the recipe's language where it follows that."""
        own = choice.config
        if registry.find(kind, choice.name).spec.config.language_of_recipe:
            own["language"] = own.get("language") or primary(self.language)
        return own

    def configured(self, kind: str, choice: ComponentChoice | None, registry: Registry) -> Any:
        """A component's spec and its validated configuration; None where there is none."""
        if choice is None:
            return None
        settings = self.settings(kind, choice, registry)
        component, config = registry.configure(kind, choice.name, **settings)
        return component.spec, config

    def written_language(self, heard: tuple[TranscriberSpec[Any], Any] | None) -> str:
        """The language of what a transcriber of this recipe writes: what judges read."""
        return (heard and heard[0].output_language(heard[1])) or self.language

    def check(self, registry: Registry | None = None) -> Stack:
        """The recipe's stack, after CompatibilityError had its chance."""
        registry = registry or load()
        stack = self.stack(registry)
        check_stack(
            stack,
            language=self.language,
            thresholds=[item.scores for item in self.rounds],
            seconds=self.corpus.prompt_seconds + self.sampling.max_seconds,
        )
        problems = []
        if self.corpus.cut in ("aligned", "asr") and not (
            self.corpus.transcriber or self.transcriber
        ):
            problems.append(
                f"corpus.cut: {self.corpus.cut!r} needs a transcriber; name it as "
                "corpus.transcriber"
            )
        for label in self.further_judges:
            judge = self.judge_specs(registry)[verdicts_of(label)]
            problems += judge_problems(replace(stack, judge=judge), self.language)
        problems += self._listening_problems(stack, registry)
        if self.selection.judge is not None and self.selection.judge not in self.further_judges:
            problems.append(
                f"selection.judge: there is no further judge {self.selection.judge!r} among "
                f"{sorted(self.further_judges)}"
            )
        for place, choice in self.choices.items():
            kind = kind_of(place)
            spec, config = self.configured(kind, choice, registry)
            if self.local_only and not spec.is_local(config):
                problems.append(
                    f"{place} {choice.name!r} sends data to another machine, and the recipe says "
                    f"local_only: choose a local {kind}"
                )
        if problems:
            raise CompatibilityError(problems)
        return stack

    def _listening_problems(self, stack: Stack, registry: Registry) -> list[str]:
        options, configured = self.evaluation, partial(self.configured, registry=registry)
        judges = {f"evaluation.further_judges.{k}": v for k, v in options.further_judges.items()}
        if options.judge or options.transcriber:
            judges["evaluation.judge"] = options.judge or self.judge
        return listening_problems(
            stack,
            self.language,
            corpus=configured("transcriber", self.corpus.transcriber),
            evaluation=configured("transcriber", options.transcriber),
            judges={place: configured("judge", choice) for place, choice in judges.items()},
        )


def kind_of(place: str) -> str:
    """The kind of component at a place of a recipe: `judge` for `evaluation.judge`."""
    section, _, key = place.rpartition(".")
    return "judge" if section.endswith("further_judges") else key

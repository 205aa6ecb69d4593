"""The recipe: everything a run depends on, read from YAML and checked before anything starts."""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from orality.compat import Stack, check_stack
from orality.components import KINDS
from orality.errors import CompatibilityError, RecipeError
from orality.plugins import Registry, load
from orality.types import SamplingOptions


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ComponentChoice(BaseModel):
    """A component by name; every further key belongs to the component's own configuration."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)

    name: str

    @property
    def config(self) -> dict[str, Any]:
        """The component's own keys."""
        return dict(self.model_extra or {})


class CorpusOptions(_Section):
    """Where speech comes from and how it becomes prompts."""

    path: str
    """A shipped corpus by name, a folder of recordings, or a JSONL or CSV manifest."""
    alignments: Path | None = None
    """A folder that says when each word was said: TextGrid, CTM, LibriSpeech's or JSON files; None:
    the corpus folder itself."""
    min_seconds: float = Field(6.0, gt=0)
    """Shorter utterances are dropped."""
    prompt_seconds: float = Field(3.0, gt=0)
    """The cut is made at the word boundary nearest this."""
    fixed_cut: bool = False
    """Cut at exactly `prompt_seconds`, as TWIST does."""
    max_prompts: int | None = Field(None, ge=1)
    max_dev_prompts: int | None = Field(None, ge=1)
    max_failures: float = Field(0.5, ge=0, le=1)
    """The share of recordings that may be unreadable (at least one always may)."""


class SamplingSection(_Section):
    """How continuations are drawn."""

    samples_per_prompt: int = Field(5, ge=2)
    temperature: float = Field(0.8, gt=0)
    top_p: float = Field(0.95, gt=0, le=1)
    top_k: int = Field(0, ge=0)
    repetition_penalty: float = Field(1.0, ge=1)
    max_seconds: float = Field(7.0, gt=0)

    @property
    def options(self) -> SamplingOptions:
        """The part that goes to the language model."""
        return SamplingOptions(self.temperature, self.top_p, self.top_k, self.repetition_penalty)


class Thresholds(_Section):
    """One curriculum round of Align-SLM's equation 2: chosen >= s_c, rejected <= s_r."""

    rejected: float
    chosen: float


class SelectionOptions(_Section):
    """How preference pairs are selected (Align-SLM, equations 1 and 2)."""

    max_auto_bleu: float = Field(0.1, ge=0, le=1)
    """delta: text that repeats itself more than this is rejected."""


class TrainingOptions(_Section):
    """DPO with a LoRA adapter; the defaults are the paper's."""

    loss: Literal["sigmoid", "ipo", "hinge", "robust", "simpo"] = "sigmoid"
    beta: float = Field(0.1, gt=0)
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)
    margin: float = 0.0
    sft_weight: float = Field(0.0, ge=0)
    """Weight of an added next-unit loss on the chosen continuation."""
    learning_rate: float = Field(1e-6, gt=0)
    warmup_steps: int = Field(500, ge=0)
    steps: int | None = Field(None, ge=1)
    epochs: float | None = Field(None, gt=0)
    pairs_per_step: int = Field(512, ge=1)
    max_tokens: int = Field(4096, ge=1)
    """Tokens that go through the model at a time; lower it when memory runs out."""
    lora_r: int = Field(32, ge=1)
    lora_alpha: int = Field(8, ge=1)
    lora_dropout: float = Field(0.0, ge=0, lt=1)
    max_grad_norm: float = Field(1.0, gt=0)
    precision: Literal["float32", "bfloat16"] = "float32"
    evaluate_every: int = Field(50, ge=1)
    activation_checkpointing: bool = False
    compile: bool = False
    shard: bool = False
    """Divide the model's frozen weights among the processes, for models too large for one."""
    attention: str = "auto"

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give either steps or epochs")
        if self.label_smoothing and self.loss not in {"sigmoid", "robust"}:
            raise ValueError("label_smoothing is for the losses sigmoid and robust")
        if self.margin and self.loss != "simpo":
            raise ValueError("margin is for the loss simpo")
        return self


class Baselines(_Section):
    """Further systems to compare with, as in Align-SLM's Table 1."""

    fine_tuned: bool = False
    """Continued next-unit prediction on the same data."""
    perplexity: bool = False
    """Pairs selected by perplexity (equation 1) instead of the judge's score."""


class EvaluationOptions(_Section):
    """What every system is measured on, held out from training."""

    benchmarks: dict[str, str] = Field(default_factory=dict)
    """Column name to folder; `stories/...` names a shipped one."""
    limit: int | None = Field(None, ge=1)
    """Use at most this many pairs of each benchmark."""
    convention: Literal["no_bos", "bos_eos"] = "no_bos"
    normalize: Literal["mean", "sum"] = "mean"
    prompts: int = Field(20, ge=0)
    """Held-out prompts to continue."""
    samples_per_prompt: int = Field(1, ge=1)
    transcriber: ComponentChoice | None = None
    """An ASR that took no part in training; the recipe's own if absent."""
    judge: ComponentChoice | None = None
    """The recipe's own if absent."""


class Recipe(_Section):
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
    sampling: SamplingSection = SamplingSection()
    selection: SelectionOptions = SelectionOptions()
    rounds: list[Thresholds] = Field(min_length=1)
    training: TrainingOptions
    baselines: Baselines = Baselines()
    evaluation: EvaluationOptions = EvaluationOptions()

    @classmethod
    def load(cls, source: str | Path | Recipe) -> Recipe:
        """Read a recipe from a YAML file or by a shipped name; RecipeError lists every mistake."""
        if isinstance(source, Recipe):
            return source
        path = _locate(source)
        try:
            data = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise RecipeError(f"recipe {source} cannot be read: {error}") from error
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
            lines = []
            for item in error.errors():
                place = ".".join(map(str, item["loc"])) or "recipe"
                what = "unknown key" if item["type"] == "extra_forbidden" else item["msg"].lower()
                lines.append(f"\n  - {place}: {what}")
            raise RecipeError(f"recipe {name} cannot be used:{''.join(lines)}") from error

    def with_corpus(self, path: str) -> Recipe:
        """The same recipe on another corpus."""
        corpus = self.corpus.model_copy(update={"path": path})
        return self.model_copy(update={"corpus": corpus})

    def dump(self) -> str:
        """The whole recipe as YAML, defaults included."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    @property
    def fingerprint(self) -> str:
        """sha256 over everything in the recipe but its description."""
        data = self.model_dump(mode="json", exclude={"description", "local_only"})
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()

    @property
    def choices(self) -> dict[str, ComponentChoice]:
        """Every component that is named, by its place: `slm`, `evaluation.judge`."""
        sections: list[tuple[str, Any]] = [("", self), ("evaluation.", self.evaluation)]
        found = {
            p + kind: getattr(section, kind, None) for p, section in sections for kind in KINDS
        }
        return {place: choice for place, choice in found.items() if choice is not None}

    def without_neutral(self, registry: Registry) -> Recipe:
        """The same recipe without the components' settings that leave results as they are."""
        data = self.model_dump()
        for place, choice in self.choices.items():
            section, _, kind = place.rpartition(".")
            for key in registry.find(kind, choice.name).spec.config.neutral:
                (data[section] if section else data)[kind].pop(key, None)
        return Recipe.model_validate(data)

    def stack(self, registry: Registry | None = None) -> Stack:
        """The recipe's components, found and configured; nothing is built."""
        registry = registry or load()

        def configured(kind: str, choice: ComponentChoice | None) -> Any:
            if choice is None:
                return None
            component, config = registry.configure(kind, choice.name, **choice.config)
            return component.spec, config

        return Stack(
            tokenizer=configured("tokenizer", self.tokenizer),
            slm=configured("slm", self.slm),
            judge=configured("judge", self.judge),
            vocoder=configured("vocoder", self.vocoder),
            transcriber=configured("transcriber", self.transcriber),
        )

    def check(self, registry: Registry | None = None) -> Stack:
        """The recipe's stack, after CompatibilityError had its chance."""
        registry = registry or load()
        stack = self.stack(registry)
        check_stack(
            stack,
            language=self.language,
            thresholds=[(item.rejected, item.chosen) for item in self.rounds],
            seconds=self.corpus.prompt_seconds + self.sampling.max_seconds,
        )
        problems = []
        for place, choice in self.choices.items():
            kind = place.removeprefix("evaluation.")
            component, config = registry.configure(kind, choice.name, **choice.config)
            if self.local_only and not component.spec.is_local(config):
                problems.append(
                    f"{place} {choice.name!r} sends data to another machine, and the recipe says "
                    f"local_only: choose a local {kind}"
                )
        if problems:
            raise CompatibilityError(problems)
        return stack


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    folder = resources.files("orality") / "recipes"
    return sorted(Path(item.name).stem for item in folder.iterdir() if item.name.endswith(".yaml"))


def _locate(source: str | Path) -> Path:
    path = Path(source)
    if path.is_file():
        return path
    if path.suffix in {".yaml", ".yml"} or len(path.parts) > 1:
        raise RecipeError(f"there is no recipe file {source}")
    if str(source) in shipped_recipes():
        return Path(str(resources.files("orality") / "recipes" / f"{source}.yaml"))
    known = ", ".join(shipped_recipes())
    raise RecipeError(f"no recipe is called {str(source)!r}; give a path, or one of {known}")

"""The sections of a recipe, with what each setting means and may be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from orality.types import SamplingOptions
from orality.untrusted.settings import Settings

Label = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]


class Section(Settings):
    """A section of a recipe."""


class ComponentChoice(Settings):
    """A component by name; every further key belongs to the component's own configuration."""

    model_config = ConfigDict(extra="allow")

    name: str

    @property
    def config(self) -> dict[str, Any]:
        """The component's own keys."""
        return dict(self.model_extra or {})


class CorpusOptions(Section):
    """Where speech comes from and how it becomes prompts."""

    path: str
    """A shipped corpus by name, a folder of recordings, a JSONL or CSV manifest, lhotse's cuts, a
    Hugging Face dataset on disk, or `hf:OWNER/NAME?config=...&split=...&revision=...`."""
    columns: dict[Literal["audio", "text", "id", "language", "split", "words"], str] = Field(
        default_factory=dict
    )
    """What a manifest or dataset calls them, where it is not the usual."""
    alignments: Path | None = None
    """A folder that says when each word was said: TextGrid, CTM, LibriSpeech's or JSON files; None:
    the corpus folder itself."""
    min_seconds: float = Field(6.0, gt=0)
    """Shorter utterances are dropped."""
    prompt_seconds: float = Field(3.0, gt=0)
    """The cut is made at the word boundary nearest this."""
    cut: Literal["auto", "words", "aligned", "asr", "pause", "fixed"] = "auto"
    """Where words end: as the corpus' `words` say, as its transcript is `aligned` by a model, as an
    `asr` times what it hears; or at a `pause`; `auto` is the first of these that there is."""
    fixed_cut: bool = False
    """Cut at exactly `prompt_seconds`, as TWIST does; the same as `cut: fixed`."""
    transcriber: ComponentChoice | None = None
    """What aligns transcripts and times words; the recipe's own if absent."""
    max_seconds: float = Field(120.0, gt=0)
    """Longer recordings are left out, unless the corpus names slices of them."""
    max_bytes: int = Field(256 * 2**20, gt=0)
    """Larger files are left out, too."""
    other_languages: Literal["skip", "keep"] = "skip"
    """What becomes of utterances that the corpus says are in another language than the recipe's:
    left out and counted, or kept."""
    max_prompts: int | None = Field(None, ge=1)
    max_dev_prompts: int | None = Field(None, ge=1)
    max_failures: float = Field(0.5, ge=0, le=1)
    """The share of recordings that may be unreadable (at least one always may)."""

    @model_validator(mode="after")
    def _one_way_to_cut(self) -> Self:
        if self.fixed_cut and self.cut not in ("auto", "fixed"):
            raise ValueError(f"fixed_cut and cut: {self.cut} are two ways to cut; leave one out")
        return self


class SamplingSection(Section):
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


class Pool(Section):
    """The actors of one stage on a Ray cluster, and what each of them has for itself."""

    actors: Annotated[int, Field(ge=1)] | tuple[int, int] = 1
    """How many, or the least and the most, between which the pool grows with the work."""
    gpus: float | None = Field(None, ge=0)
    """GPUs, or a part of one; None: one, or an equal part where there are fewer than actors."""
    cpus: float | None = Field(None, gt=0)
    """Cores; None: one, or an equal part where there are fewer than actors."""

    @property
    def least(self) -> int:
        """With how many actors the pool begins."""
        return self.actors if isinstance(self.actors, int) else self.actors[0]

    @property
    def most(self) -> int:
        """To how many actors the pool may grow."""
        return self.actors if isinstance(self.actors, int) else self.actors[1]

    @model_validator(mode="after")
    def _can_be_had(self) -> Self:
        if not 1 <= self.least <= self.most:
            raise ValueError(f"actors must be at least 1 and rise, got {self.least}, {self.most}")
        if self.gpus is not None and self.gpus > 1 and self.gpus % 1:
            raise ValueError(f"gpus must be a part of one or a whole number, got {self.gpus:g}")
        return self


class TrainingOptions(Section):
    """DPO with a LoRA adapter; the defaults are the paper's."""

    loss: Literal["sigmoid", "ipo", "hinge", "robust", "simpo"] = "sigmoid"
    beta: float = Field(0.1, gt=0)
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)
    margin: float = 0.0
    sft_weight: float = Field(0.0, ge=0)
    """Weight of an added next-unit loss on the chosen continuation."""
    gap: Literal["none", "margin", "weight"] = "none"
    """What a pair's score gap does: ask for a reward margin in proportion, or weigh the loss."""
    gap_scale: float = Field(1.0, gt=0)
    """Reward margin for each point of the judge's scale, where the gap is a margin."""
    reference: Literal["last", "first"] = "last"
    """What holds the policy of a round: the policy that the round starts from, or the pre-trained
    model."""
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
    lora_targets: list[str] | None = Field(None, min_length=1)
    """Linear layers that the adapter reaches, by the end of their names; None: the model's own
    choice."""
    max_grad_norm: float = Field(1.0, gt=0)
    precision: Literal["float32", "bfloat16"] = "float32"
    evaluate_every: int = Field(50, ge=1)
    best_by: Literal["reward_accuracy", "loss"] = "reward_accuracy"
    """What of the dev pairs picks the step that is kept; `loss` is steadier when they are few."""
    max_kl: float | None = Field(None, gt=0)
    """Nats per continuation above which a training warns; None: 50."""
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
        if self.gap == "margin" and self.loss == "simpo":
            raise ValueError("gap: margin is not for simpo, which has a margin per unit")
        if self.gap_scale != 1 and self.gap != "margin":
            raise ValueError("gap_scale is for gap: margin; a weight is relative to the mean gap")
        return self


class Baselines(Section):
    """Further systems to compare with, as in Align-SLM's Table 1."""

    fine_tuned: bool = False
    """Continued next-unit prediction on the same data."""
    perplexity: bool = False
    """Pairs selected by perplexity (equation 1) instead of the judge's score."""


class EvaluationOptions(Section):
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
    metrics: list[str | dict[str, Any]] = Field(
        default_factory=lambda: list[str | dict[str, Any]](["judge", "auto-bleu", "ppl", "empty"])
    )
    """What continuations are measured by, in the order of the table: names, or names with settings;
    may change after a run, as nothing else depends on it."""
    resynthesis: bool = False
    """Also turn the prompts' recordings into units and back, and say how many words that costs; may
    change after a run."""
    transcriber: ComponentChoice | None = None
    """An ASR that took no part in training; the recipe's own if absent."""
    judge: ComponentChoice | None = None
    """The recipe's own if absent."""
    further_judges: dict[Label, ComponentChoice] = Field(default_factory=dict)
    """Judges that take no part in rounds, by labels that `metrics` may name; may change after a
    run."""
    temperature: float | None = Field(None, gt=0)
    """At which every system is sampled for the main table; None: that of `sampling`."""
    temperatures: list[Annotated[float, Field(gt=0)]] = Field(default_factory=list)
    """Further ones, at which the pre-trained model is sampled: its curve of score against
    repetition and diversity, over which other systems must gain; may change after a run."""
    frontier: Literal["baseline", "all"] = "baseline"
    """Whether `all` systems are sampled at the further temperatures; may change after a run."""

    @field_validator("temperatures")
    @classmethod
    def _distinct(cls, temperatures: list[float]) -> list[float]:
        if len({f"{t:g}" for t in temperatures}) < len(temperatures):
            raise ValueError(f"two temperatures are the same, got {temperatures}")
        return temperatures

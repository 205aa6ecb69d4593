"""The contracts of the five kinds of components, and three optional ones.

Batches come first; order is kept; one result per item; abstaining is None.

A class needs no base class to be a component: it only has to have these members.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from orality.types import (
    JudgeRequest,
    Sample,
    SamplingOptions,
    Transcript,
    Units,
    UnitSpec,
    Verdict,
    Waveform,
)

if TYPE_CHECKING:
    import torch
    from torch import nn


@runtime_checkable
class SpeechTokenizer(Protocol):
    """Speech to units."""

    @property
    def sample_rate(self) -> int:
        """The rate, in Hz, at which it listens; `encode` resamples what has another."""
        ...

    @property
    def unit_spec(self) -> UnitSpec:
        """What its units mean."""
        ...

    def encode(self, batch: Sequence[Waveform]) -> list[Units]:
        """Turn each waveform into units; a batch never changes an item's units."""
        ...


@runtime_checkable
class SpeechLM(Protocol):
    """A language model over units."""

    @property
    def unit_spec(self) -> UnitSpec:
        """What its units mean."""
        ...

    @property
    def context_length(self) -> int:
        """The longest sequence it can hold, in tokens."""
        ...

    @property
    def module(self) -> nn.Module:
        """The torch module: called as `module(input_ids=..., attention_mask=..., position_ids=...)`
        it returns an object with `.logits`, shape (batch, length, vocabulary)."""
        ...

    @property
    def lora_targets(self) -> list[str]:
        """Names of the linear layers that an adapter should reach."""
        ...

    def with_module(self, module: nn.Module) -> SpeechLM:
        """A sibling that runs `module` (an adapted or merged copy) and shares all the rest."""
        ...

    def to_input_ids(self, units: Units) -> torch.Tensor:
        """Units to the model's own token ids: int64, shape (length,)."""
        ...

    def to_units(self, input_ids: torch.Tensor) -> Units:
        """Token ids, shape (length,), back to units; special tokens are dropped."""
        ...

    def generate(
        self,
        prompts: Sequence[Units],
        *,
        num_samples: int,
        max_new_units: int,
        sampling: SamplingOptions,
        seeds: Sequence[int],
    ) -> list[list[Sample]]:
        """Draw `num_samples` continuations of each prompt (the prompt is not repeated in them).

        `seeds`: one per prompt; a prompt's samples depend on its seed alone, not on its batch.
        """
        ...

    def log_likelihood(self, batch: Sequence[Units], *, convention: str = "no_bos") -> list[float]:
        """Sum of log-probabilities in nats, one per item, full-vocabulary softmax.

        `no_bos`: units 2..T given those before. `bos_eos`: also the first unit given BOS and the
        final EOS.
        """
        ...


@runtime_checkable
class SupportsScoredIds(Protocol):
    """Optional for a language model: the token ids that `log_likelihood` reads, so that they can be
    packed."""

    def scored_ids(self, units: Units, *, convention: str = "no_bos") -> torch.Tensor:
        """Token ids of which all but the first are scored: int64, shape (length,).

        Those of `to_input_ids`, between BOS and EOS where the convention is `bos_eos`.
        """
        ...


@runtime_checkable
class Vocoder(Protocol):
    """Units to speech."""

    @property
    def sample_rate(self) -> int:
        """The rate, in Hz, of what it speaks."""
        ...

    @property
    def unit_spec(self) -> UnitSpec:
        """What units it understands."""
        ...

    def synthesize(self, batch: Sequence[Units]) -> list[Waveform]:
        """Speak each item; a batch never changes an item's waveform beyond rounding."""
        ...


@runtime_checkable
class Transcriber(Protocol):
    """Speech to text, in the same or (task `translate`) another language."""

    @property
    def sample_rate(self) -> int:
        """The rate, in Hz, at which it listens; `transcribe` resamples what has another."""
        ...

    def transcribe(
        self, batch: Sequence[Waveform], *, language: str | None = None
    ) -> list[Transcript]:
        """Write down each waveform; silence gives an empty text."""
        ...


@runtime_checkable
class SupportsWordTimes(Protocol):
    """Optional for a transcriber: `Transcript.words` has the time of every word.

    With it, prompts of a corpus without transcripts end between words.
    """

    @property
    def timestamps(self) -> bool:
        """Whether this one was configured to time words."""
        ...


@runtime_checkable
class SupportsAlignment(Protocol):
    """Optional for a transcriber: forced alignment of a given text.

    With it, prompts of a corpus that has transcripts without times end between words.
    """

    @property
    def aligner(self) -> str | None:
        """Identifier recorded in runs, `ctc NAME`; None if this model cannot align."""
        ...

    @property
    def aligns_exactly(self) -> bool:
        """Whether times come from frames that are the words', as CTC's; else they are marked as
        approximate."""
        ...

    def align(
        self, batch: Sequence[Waveform], texts: Sequence[str], *, language: str | None = None
    ) -> list[Transcript | None]:
        """Each text with `words`, one for each of its words between spaces, in order and inside
        the recording, and `confidence` where there is one; None where it cannot be aligned."""
        ...


Aligner = SupportsAlignment


@runtime_checkable
class Judge(Protocol):
    """Scores continuations; higher is better, inside the scale its spec declares."""

    def score(self, requests: Sequence[JudgeRequest]) -> list[Verdict]:
        """Judge each request; a request that cannot be judged gets a verdict with score None."""
        ...

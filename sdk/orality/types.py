"""The values that cross a seam between components: frozen, cheap, free of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

from orality.errors import AudioError


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """Mono speech.

    `samples`: float32, shape (num_samples,), in [-1, 1]; signed whole numbers are scaled to that.
    `sample_rate`: in Hz.
    """

    samples: NDArray[np.float32]
    sample_rate: int

    def __post_init__(self) -> None:
        kind = getattr(getattr(self.samples, "dtype", None), "kind", "f")
        if kind == "i":  # whole numbers, as files store them, up to their type's largest
            scale = 2.0 ** (8 * self.samples.dtype.itemsize - 1)
            samples = self.samples.astype("float64") / scale
            object.__setattr__(self, "samples", samples.astype("float32"))
        elif kind != "f":
            raise AudioError(
                f"got samples of the type {self.samples.dtype}, wanted float32 in [-1, 1]"
            )

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.sample_rate


@dataclass(frozen=True, slots=True)
class UnitSpec:
    """What a sequence of unit ids means: identity of the codebook, not only its size.

    `codebook`: a name such as `mhubert-base-25hz/l11/km500`; two components fit only if equal.
    `frame_rate`: frames per second before de-duplication. `fingerprint`: sha256 of the centroids,
    when known; compared only where both sides state one.
    """

    codebook: str
    vocab_size: int
    frame_rate: float
    num_codebooks: int = 1
    deduplicated: bool = True
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """Discrete speech.

    `ids`: int64, shape (num_units,) or (num_units, num_codebooks). `durations`: int64, shape
    (num_units,), frames each unit lasts; None when unknown (a language model gives none).
    """

    ids: NDArray[np.int64]
    durations: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, ids: Sequence[int] | Sequence[Sequence[int]]) -> Units:
        """Units from plain numbers."""
        import numpy as np

        return cls(np.asarray(ids, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Word:
    """A spoken word and when it was said, in seconds from the start of the recording."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """What a transcriber heard.

    `language` is the text's language (the target's, when `task` is `translate`). An empty `text`
    means that no speech was heard. `confidence`: in [0, 1], or None.
    """

    text: str
    language: str = "en"
    task: str = "transcribe"
    words: tuple[Word, ...] = ()
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """How continuations are drawn. `top_p=1` and `top_k=0` switch the respective filter off."""

    temperature: float = 0.8
    top_p: float = 0.95
    top_k: int = 0
    repetition_penalty: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One continuation as a language model drew it.

    `log_prob`: sum over its units of the model's log-probability in nats under the full softmax
    (before temperature and filters), or None where the backend cannot tell. `finished`: the model
    ended the sequence itself.
    """

    units: Units
    log_prob: float | None = None
    finished: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class JudgeRequest:
    """A prompt and one continuation in every form at hand; a judge reads what it declares."""

    prompt_text: str | None = None
    continuation_text: str | None = None
    prompt_audio: Waveform | None = None
    continuation_audio: Waveform | None = None
    prompt_units: Units | None = None
    continuation_units: Units | None = None
    language: str = "en"
    id: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judge's answer.

    `score`: inside the judge's scale, higher is better; None when the judge abstains, with the
    reason in `rationale`. `perplexity`: of the continuation given the prompt, by which pairs and
    tables of perplexity are made; `tokens`: how many it is the mean over. `dollars`: what the
    answer cost. `metrics`: what else the judge measured (raw log-likelihoods, say).
    """

    score: float | None
    rationale: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    perplexity: float | None = None
    tokens: float | None = None
    dollars: float | None = None

    @property
    def measured(self) -> dict[str, float]:
        """All that was measured, by name, as it is stored."""
        own = {"perplexity": self.perplexity, "tokens": self.tokens, "dollars": self.dollars}
        known = {name: value for name, value in own.items() if value is not None}
        return {**self.metrics, **known}


@dataclass(frozen=True, slots=True, eq=False)
class PreferencePair:
    """One prompt with a chosen and a rejected continuation, as unit ids.

    Reference log-probabilities are sums in nats over the continuation's units, given the prompt,
    under the model named by `reference` (its fingerprint); None where not recorded.
    """

    id: str
    prompt_id: str
    prompt: Units
    chosen: Units
    rejected: Units
    chosen_score: float | None = None
    rejected_score: float | None = None
    reference: str | None = None
    reference_chosen: float | None = None
    reference_rejected: float | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

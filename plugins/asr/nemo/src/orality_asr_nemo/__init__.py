"""The transcriber `nemo`: NVIDIA NeMo's speech recognition. NeMo is imported only to build it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from orality import ComponentConfig, TranscriberSpec, hookimpl

if TYPE_CHECKING:
    from orality_asr_nemo.transcriber import NemoTranscriber

__all__ = ["NemoConfig", "orality_transcribers"]


class NemoConfig(ComponentConfig):
    """Which model listens, and what it writes."""

    checkpoint: str
    """A .nemo file, a folder with one (or with an unpacked one), OWNER/NAME or OWNER/NAME@REVISION
    on the hub, or a name from NeMo's own catalog."""
    language: str = "en"
    """What is spoken, ISO 639-1; the default when `transcribe` is not told another."""
    task: Literal["transcribe", "translate"] = "transcribe"
    """`translate` writes `target_language` (multitask checkpoints such as Canary only)."""
    target_language: str | None = None
    """What `translate` writes, ISO 639-1."""
    timestamps: bool = False
    """Whether transcripts carry the time of every word."""
    punctuation: bool = True
    """Whether a multitask checkpoint writes punctuation and capitals."""
    decoder: Literal["rnnt", "ctc"] | None = None
    """Which decoder of a hybrid checkpoint writes; None leaves the checkpoint's own choice."""
    batch_size: int = Field(16, ge=1)
    device: str = "auto"

    @model_validator(mode="after")
    def _translation_is_whole(self) -> NemoConfig:
        if self.task == "transcribe":
            if self.target_language not in (None, self.language):
                raise ValueError(
                    f"target_language is {self.target_language!r}, but the task is 'transcribe'; "
                    "wanted task: translate"
                )
            return self
        if self.target_language in (None, self.language):
            raise ValueError(
                f"task 'translate' from {self.language!r} wants another language as "
                f"target_language, got {self.target_language!r}"
            )
        if self.timestamps:
            raise ValueError(
                "the words of a translation are never spoken, so they have no times; leave out "
                "timestamps or translate"
            )
        return self


def _build(config: NemoConfig) -> NemoTranscriber:
    from orality_asr_nemo.loading import load_transcriber

    return load_transcriber(config)


def output_language(config: NemoConfig) -> str | None:
    """What the transcripts are written in."""
    return config.target_language if config.task == "translate" else config.language


@hookimpl
def orality_transcribers() -> Iterable[TranscriberSpec[Any]]:
    """The `nemo` transcriber."""
    yield TranscriberSpec(
        name="nemo",
        config=NemoConfig,
        build=_build,
        languages=lambda config: frozenset({config.language}),
        output_language=output_language,
    )

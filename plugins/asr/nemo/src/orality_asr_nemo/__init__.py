"""The transcriber `nemo`: NVIDIA NeMo's speech recognition. NeMo is imported only to build it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import Field

from orality import ComponentConfig, TranscriberSpec, hookimpl

if TYPE_CHECKING:
    from orality_asr_nemo.transcriber import NemoTranscriber

__all__ = ["NemoConfig", "orality_transcribers"]


class NemoConfig(ComponentConfig):
    """Which model listens."""

    checkpoint: str
    """A model name NeMo knows, or a .nemo file."""
    language: str = "en"
    """What the model writes, ISO 639-1."""
    batch_size: int = Field(16, ge=1)
    device: str = "auto"


def _build(config: NemoConfig) -> NemoTranscriber:
    from orality_asr_nemo.transcriber import load_transcriber

    return load_transcriber(config)


@hookimpl
def orality_transcribers() -> Iterable[TranscriberSpec[Any]]:
    """The `nemo` transcriber."""
    yield TranscriberSpec(
        name="nemo",
        config=NemoConfig,
        build=_build,
        languages=lambda config: frozenset({config.language}),
    )

"""The transcriber `ctc`: letters by transformers' CTC models, which also align given texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orality import ComponentConfig, Transcriber, TranscriberSpec, hookimpl

__all__ = ["CtcConfig", "orality_transcribers"]


class CtcConfig(ComponentConfig):
    """Which model listens."""

    checkpoint: str
    """A folder, or anything else that `orality.fetch` resolves to one."""
    language: str = "en"
    """What is spoken and written, ISO 639-1."""
    timestamps: bool = False
    """Whether transcripts carry the time of every word."""
    device: str = "auto"


def _build(config: CtcConfig) -> Transcriber:
    from orality_asr_ctc.loading import load

    return load(config)


@hookimpl
def orality_transcribers() -> Iterable[TranscriberSpec[Any]]:
    """The `ctc` transcriber."""
    yield TranscriberSpec(
        name="ctc",
        config=CtcConfig,
        build=_build,
        languages=lambda config: frozenset({config.language}),
        output_language=lambda config: config.language,
    )

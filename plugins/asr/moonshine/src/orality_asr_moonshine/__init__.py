"""Moonshine for orality: the transcriber `moonshine`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orality import ComponentConfig, Transcriber, TranscriberSpec, hookimpl


class MoonshineConfig(ComponentConfig):
    """Which Moonshine listens."""

    checkpoint: str = "tiny-en"
    """`tiny-en`, or a folder with encoder_model, decoder_model_merged (.ort or .onnx) and
    tokenizer.bin."""
    threads: int = 0
    """onnxruntime's threads; 0 lets it choose."""


def build(config: MoonshineConfig) -> Transcriber:
    from orality_asr_moonshine.transcriber import load

    return load(config)


@hookimpl
def orality_transcribers() -> Iterable[TranscriberSpec[Any]]:
    yield TranscriberSpec(
        name="moonshine",
        config=MoonshineConfig,
        build=build,
        languages=lambda config: frozenset({"en"}),
        output_language=lambda config: "en",
    )

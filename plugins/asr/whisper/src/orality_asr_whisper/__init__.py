"""Whisper for orality: the transcriber `whisper`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import model_validator

from orality import CheckpointError, ComponentConfig, Transcriber, TranscriberSpec, hookimpl
from orality.checkpoints import read_json

_ENGLISH_VOCABULARY = 51864  # the multilingual checkpoints have one token more, or two


class WhisperConfig(ComponentConfig):
    """Which Whisper listens, and how."""

    language_of_recipe: ClassVar[bool] = True

    checkpoint: str = "tiny.en"
    """`tiny.en`, `large-v2`, `large-v3`, or anything `orality.fetch` resolves to a transformers
    Whisper folder."""
    language: str | None = None
    """Spoken language, ISO 639-1, when `transcribe` is not told another; None: the recipe's, and
    English where there is no recipe."""
    task: Literal["transcribe", "translate"] = "transcribe"
    """`translate` writes English, whatever is spoken (multilingual checkpoints only)."""
    timestamps: bool = False
    """Whether transcripts carry the time of every word."""
    device: str = "auto"
    batch_seconds: float = 300.0
    """Audio per batch, padding included."""
    no_speech_threshold: float = 0.6
    """Silence is reported above this probability of no speech, if the words are unsure too."""

    @model_validator(mode="after")
    def _only_spoken_words_have_times(self) -> WhisperConfig:
        if self.timestamps and self.task == "translate":
            raise ValueError(
                "the words of a translation are never spoken, so they have no times; leave out "
                "timestamps or translate"
            )
        return self


def build(config: WhisperConfig) -> Transcriber:
    from orality_asr_whisper.loading import load

    return load(config)


def languages(config: WhisperConfig) -> frozenset[str] | None:
    """English for `.en` checkpoints, else the one that is set; None (any) where none is."""
    if config.checkpoint == "tiny.en":
        return frozenset({"en"})
    folder = Path(config.checkpoint).expanduser()
    chosen = frozenset({config.language}) if config.language else None
    try:
        english = read_json(folder / "config.json").get("vocab_size") == _ENGLISH_VOCABULARY
        generation = folder / "generation_config.json"
        stated = read_json(generation).get("is_multilingual") if generation.exists() else None
    except CheckpointError:
        return chosen
    return frozenset({"en"}) if stated is False or (stated is None and english) else chosen


def output_language(config: WhisperConfig) -> str | None:
    return "en" if config.task == "translate" else config.language


@hookimpl
def orality_transcribers() -> Iterable[TranscriberSpec[Any]]:
    yield TranscriberSpec(
        name="whisper",
        config=WhisperConfig,
        build=build,
        languages=languages,
        output_language=output_language,
    )

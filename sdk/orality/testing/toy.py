"""The plugin `toy`: five components made of tones, without weights, for tests and first steps.

A unit is a tone; a letter is a unit; unit 0 is the space. So a word is a little melody that the
vocoder whistles, the transcriber hears, and the judge likes for its vowels.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orality.hookspecs import hookimpl
from orality.protocols import Judge, SpeechLM, SpeechTokenizer, Transcriber, Vocoder
from orality.specs import (
    ComponentConfig,
    JudgeSpec,
    SLMSpec,
    TokenizerSpec,
    TranscriberSpec,
    VocoderSpec,
)
from orality.types import UnitSpec

LETTERS = " abcdefghijklmnopqrs"
UNIT_SPEC = UnitSpec(
    codebook="toy-tones", vocab_size=len(LETTERS), frame_rate=25.0, deduplicated=True
)
CONTEXT_LENGTH = 512


class ToyConfig(ComponentConfig):
    """The toy components have nothing to configure."""


class ToySLMConfig(ComponentConfig):
    """`seed`: of the random weights."""

    seed: int = 0


def _tokenizer(config: ToyConfig) -> SpeechTokenizer:
    from orality.testing.tones import ToneTokenizer

    return ToneTokenizer()


def _slm(config: ToySLMConfig) -> SpeechLM:
    from orality.testing.toy_slm import random_slm

    return random_slm(config.seed)


def _vocoder(config: ToyConfig) -> Vocoder:
    from orality.testing.tones import ToneVocoder

    return ToneVocoder()


def _transcriber(config: ToyConfig) -> Transcriber:
    from orality.testing.tones import ToneTranscriber

    return ToneTranscriber()


def _judge(config: ToyConfig) -> Judge:
    from orality.testing.tones import VowelJudge

    return VowelJudge()


@hookimpl
def orality_tokenizers() -> Iterable[TokenizerSpec[Any]]:
    """Frames to tones."""
    yield TokenizerSpec(
        name="toy", config=ToyConfig, build=_tokenizer, describe=lambda config: UNIT_SPEC
    )


@hookimpl
def orality_slms() -> Iterable[SLMSpec[Any]]:
    """A small OPT with random weights."""
    yield SLMSpec(
        name="toy",
        config=ToySLMConfig,
        build=_slm,
        describe=lambda config: UNIT_SPEC,
        context_length=lambda config: CONTEXT_LENGTH,
    )


@hookimpl
def orality_vocoders() -> Iterable[VocoderSpec[Any]]:
    """Tones to sine waves."""
    yield VocoderSpec(
        name="toy", config=ToyConfig, build=_vocoder, describe=lambda config: UNIT_SPEC
    )


@hookimpl
def orality_transcribers() -> Iterable[TranscriberSpec[Any]]:
    """Sine waves to letters."""
    yield TranscriberSpec(name="toy", config=ToyConfig, build=_transcriber)


@hookimpl
def orality_judges() -> Iterable[JudgeSpec[Any]]:
    """The more vowels, the better."""
    yield JudgeSpec(
        name="toy",
        config=ToyConfig,
        build=_judge,
        reads=frozenset({"text"}),
        scale=(1.0, 5.0),
    )

"""The plugin `light`: five components that cost next to nothing, so that what remains can be seen.

Everything a component gives depends on what it is given, as with real ones: units on the recording,
samples on the seed, speech on the units, words on the speech, scores on the words.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from orality import (
    JudgeRequest,
    JudgeSpec,
    Sample,
    SamplingOptions,
    SLMSpec,
    TokenizerSpec,
    TranscriberSpec,
    Transcript,
    Units,
    UnitSpec,
    Verdict,
    VocoderSpec,
    Waveform,
    hookimpl,
)
from orality.specs import ComponentConfig

SAMPLE_RATE = 8000
UNIT_SPEC = UnitSpec("light/500", 500, frame_rate=200.0, deduplicated=False)
WORDS = (
    "the",
    "a",
    "boy",
    "girl",
    "dog",
    "cat",
    "ran",
    "saw",
    "red",
    "big",
    "kite",
    "ball",
    "home",
)


class LightConfig(ComponentConfig):
    """Nothing to configure."""


class Tokenizer:
    sample_rate, unit_spec = SAMPLE_RATE, UNIT_SPEC

    def encode(self, batch: Sequence[Waveform]) -> list[Units]:
        hop = SAMPLE_RATE // 200
        return [Units((np.abs(w.samples[::hop]) * 9973).astype(np.int64) % 500) for w in batch]


class SLM:
    unit_spec, context_length, lora_targets = UNIT_SPEC, 2048, ("q",)

    def __init__(self) -> None:
        import torch

        self.module = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.ones_(self.module.weight)

    def generate(
        self,
        prompts: Sequence[Units],
        *,
        num_samples: int,
        max_new_units: int,
        sampling: SamplingOptions,
        seeds: Sequence[int],
    ) -> list[list[Sample]]:
        return [[self._draw(seed, index, max_new_units) for index in range(num_samples)]
                for seed in seeds]  # fmt: skip

    def _draw(self, seed: int, index: int, most: int) -> Sample:
        random = np.random.default_rng([seed, index])
        units = random.integers(0, 500, random.integers(most // 2, most + 1))
        return Sample(Units(units), -6.2 * len(units))


class Vocoder:
    sample_rate, unit_spec = SAMPLE_RATE, UNIT_SPEC

    def synthesize(self, batch: Sequence[Units]) -> list[Waveform]:
        return [
            Waveform(np.repeat(u.ids.astype(np.float32) / 500 - 0.5, 8), SAMPLE_RATE) for u in batch
        ]


class Transcriber:
    sample_rate = SAMPLE_RATE

    def transcribe(
        self, batch: Sequence[Waveform], *, language: str | None = None
    ) -> list[Transcript]:
        return [Transcript(" ".join(self._words(waveform))) for waveform in batch]

    def _words(self, waveform: Waveform) -> Iterable[str]:
        picks = (np.abs(waveform.samples[:60:5]) * 9973).astype(int) % len(WORDS)
        return (WORDS[pick] for pick in picks)


class Judge:
    def score(self, requests: Sequence[JudgeRequest]) -> list[Verdict]:
        texts = ((request.continuation_text or "").encode() for request in requests)
        return [Verdict(1.0 + zlib.crc32(text) % 401 / 100) for text in texts]


@hookimpl
def orality_tokenizers() -> Iterable[TokenizerSpec[Any]]:
    yield TokenizerSpec(
        name="light", config=LightConfig, build=lambda config: Tokenizer(),
        describe=lambda config: UNIT_SPEC,
    )  # fmt: skip


@hookimpl
def orality_slms() -> Iterable[SLMSpec[Any]]:
    yield SLMSpec(
        name="light", config=LightConfig, build=lambda config: SLM(),  # type: ignore[arg-type,return-value]
        describe=lambda config: UNIT_SPEC,
    )  # fmt: skip


@hookimpl
def orality_vocoders() -> Iterable[VocoderSpec[Any]]:
    yield VocoderSpec(
        name="light", config=LightConfig, build=lambda config: Vocoder(),
        describe=lambda config: UNIT_SPEC,
    )  # fmt: skip


@hookimpl
def orality_transcribers() -> Iterable[TranscriberSpec[Any]]:
    yield TranscriberSpec(name="light", config=LightConfig, build=lambda config: Transcriber())


@hookimpl
def orality_judges() -> Iterable[JudgeSpec[Any]]:
    yield JudgeSpec(
        name="light", config=LightConfig, build=lambda config: Judge(), reads=frozenset({"text"}),
        scale=(1.0, 5.0),
    )  # fmt: skip

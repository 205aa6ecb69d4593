"""The shipped vocoder speaks what its units say, and nothing when they say nothing."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import orality
from orality import Units
from orality.testing import VocoderTests

SENTENCES = Path(__file__).parents[2] / "golden" / "tiny_speech" / "sentences.json"


class TestTiny(VocoderTests):
    name = "hifigan"


@pytest.fixture(scope="module")
def vocoder() -> Any:
    return orality.build("vocoder", "hifigan", device="cpu")


@pytest.fixture(scope="module")
def sentences() -> list[dict[str, Any]]:
    """Texts that no part of the stack was trained on, and the units of their recordings."""
    content = json.loads(SENTENCES.read_text())
    found: list[dict[str, Any]] = content["sentences"]
    return found


def units(sentence: dict[str, Any]) -> Units:
    return Units(np.array(sentence["units"], np.int64))


def word_error_rate(texts: list[str], heard: list[str]) -> float:
    """Mean over sentences, each at most 1: a transcriber caught in a loop misses one sentence."""
    import jiwer

    def words(text: str) -> str:
        return " ".join(re.sub(r"[^a-z' ]", " ", text.lower()).split()) or "-"

    rates = [jiwer.wer(words(a), words(b)) for a, b in zip(texts, heard, strict=True)]
    return float(np.mean(np.minimum(rates, 1)))


def test_it_speaks_much_faster_than_real_time(vocoder: Any, sentences: Any) -> None:
    batch = [units(sentence) for sentence in sentences[:2]]
    vocoder.synthesize(batch)
    began = time.process_time()
    spoken = vocoder.synthesize(batch)
    assert sum(speech.duration for speech in spoken) / (time.process_time() - began) > 15


def test_sentences_last_as_long_as_they_did(vocoder: Any, sentences: Any) -> None:
    spoken = vocoder.synthesize([units(sentence) for sentence in sentences])
    total = sum(speech.duration for speech in spoken)
    assert 0.9 < total / sum(sentence["seconds"] for sentence in sentences) < 1.1


def test_speech_is_neither_silent_nor_clipped(vocoder: Any, sentences: Any) -> None:
    [speech] = vocoder.synthesize([units(sentences[0])])
    loudness = float(np.sqrt(np.mean(speech.samples**2)))
    assert 0.01 < loudness < 0.5
    assert np.abs(speech.samples).max() < 1.0


@pytest.mark.slow
def test_whisper_understands_units_in_order_and_not_shuffled(vocoder: Any, sentences: Any) -> None:
    whisper = orality.build("transcriber", "whisper", device="cpu")
    draw = np.random.default_rng(0)
    texts = [sentence["text"] for sentence in sentences]
    in_order = [units(sentence) for sentence in sentences]
    shuffled = [Units(draw.permutation(item.ids)) for item in in_order]
    said, noise = (
        word_error_rate(texts, [t.text for t in whisper.transcribe(vocoder.synthesize(batch))])
        for batch in (in_order, shuffled)
    )
    assert said < 0.30
    assert noise > 0.85

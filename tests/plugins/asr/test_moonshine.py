"""The Moonshine transcriber on fake networks that play back a script."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from orality import CheckpointError, CompatibilityError, Waveform
from orality_asr_moonshine import MoonshineConfig, build
from orality_asr_moonshine.transcriber import MoonshineTranscriber
from orality_asr_moonshine.vocabulary import read_vocabulary, to_text

VOCABULARY = [b"<unk>", b"<s>", b"</s>", "▁hel".encode(), b"lo", "▁you".encode()]


class Encoder:
    """States that remember how much audio was heard."""

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name="input_values", shape=["batch", "length"])]

    def run(self, _: None, feed: dict[str, Any]) -> list[Any]:
        assert set(feed) == {"input_values"}
        self.lengths.append(feed["input_values"].shape[1])
        return [np.zeros((1, 4, 8), np.float32)]


class Decoder:
    """Says the script's tokens, then the end; checks what it is given of its own past."""

    def __init__(self, script: list[int]) -> None:
        self.script = script

    def get_inputs(self) -> list[Any]:
        shapes = {
            "input_ids": ["batch", "length"],
            "use_cache_branch": [1],
            "past_key_values.0.decoder.key": ["batch", 2, "past", 3],
            "past_key_values.0.encoder.key": ["batch", 2, "past", 3],
        }
        return [SimpleNamespace(name=name, shape=shape) for name, shape in shapes.items()]

    def get_outputs(self) -> list[Any]:
        names = ("logits", "present.0.decoder.key", "present.0.encoder.key")
        return [SimpleNamespace(name=name) for name in names]

    def run(self, _: None, feed: dict[str, Any]) -> list[Any]:
        step = feed["past_key_values.0.decoder.key"].shape[2]
        assert feed["past_key_values.0.encoder.key"].shape[2] == (4 if step else 0)
        assert bool(feed["use_cache_branch"][0]) == (step > 0)
        assert int(feed["input_ids"][0, 0]) == (self.script[step - 1] if step else 1)
        logits = np.zeros((1, 1, len(VOCABULARY)), np.float32)
        logits[0, 0, self.script[step] if step < len(self.script) else 2] = 5.0
        # The cached branch returns nothing useful for the encoder's part, as the real one does.
        kept = np.zeros((1, 2, 4 if step == 0 else 0, 3), np.float32)
        return [logits, np.zeros((1, 2, step + 1, 3), np.float32), kept]


def transcriber(script: list[int]) -> MoonshineTranscriber:
    return MoonshineTranscriber(Encoder(), Decoder(script), VOCABULARY)


def noise(seconds: float, rate: int = 16000) -> Waveform:
    samples = np.random.default_rng(0).normal(0, 0.1, int(seconds * rate)).astype(np.float32)
    return Waveform(samples, rate)


def test_it_writes_what_the_decoder_says() -> None:
    found = transcriber([3, 4, 5]).transcribe([noise(1.0)])[0]
    assert found.text == "hello you"
    assert found.language == "en"
    # each of four steps: e^5 against five ones
    assert found.confidence == pytest.approx(math.exp(5) / (math.exp(5) + 5))


def test_silence_and_scraps_give_an_empty_text() -> None:
    silence, scrap, nothing = transcriber([3]).transcribe(
        [Waveform(np.zeros(16000, np.float32), 16000), noise(0.05), noise(0.0)]
    )
    assert (silence.text, scrap.text, nothing.text) == ("", "", "")
    assert silence.confidence is None


def test_a_loop_ends_by_the_length_of_the_recording() -> None:
    found = transcriber([5] * 500).transcribe([noise(2.0)])[0]
    assert len(found.text.split()) == 13 + 8


def test_other_rates_are_resampled_and_long_recordings_cut() -> None:
    model = transcriber([5])
    texts = [t.text for t in model.transcribe([noise(1.0, 8000), noise(40.0)])]
    assert texts == ["you", "you you"]
    assert model._encoder.lengths == [16000, 320000, 320000]


def test_another_language_is_refused() -> None:
    with pytest.raises(CompatibilityError, match="'de'"):
        transcriber([3]).transcribe([noise(1.0)], language="de")


def test_no_audio_gives_no_text() -> None:
    assert transcriber([3]).transcribe([]) == []


def test_the_vocabulary_file_is_read_with_long_tokens(tmp_path: Path) -> None:
    long = b"x" * 300
    # 300 = (172 - 128) + 128 * 2
    content = b"\x02ab" + b"\x00" + bytes([172, 2]) + long + b"\x01c"
    (tmp_path / "t.bin").write_bytes(content)
    assert read_vocabulary(tmp_path / "t.bin") == [b"ab", b"", long, b"c"]


def test_a_vocabulary_that_breaks_off_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.bin").write_bytes(b"\x05ab")
    with pytest.raises(CheckpointError, match="token 0"):
        read_vocabulary(tmp_path / "t.bin")


def test_specials_and_unknown_ids_are_no_text() -> None:
    assert to_text([1, 3, 4, 99, 2], VOCABULARY) == "hello"


def test_a_folder_without_the_networks_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(CheckpointError, match=r"tokenizer\.bin"):
        build(MoonshineConfig(checkpoint=str(tmp_path)))
    (tmp_path / "tokenizer.bin").write_bytes(b"\x01a")
    with pytest.raises(CheckpointError, match="encoder_model"):
        build(MoonshineConfig(checkpoint=str(tmp_path)))
    (tmp_path / "encoder_model.onnx").write_bytes(b"no network")
    with pytest.raises(CheckpointError, match="onnxruntime cannot read"):
        build(MoonshineConfig(checkpoint=str(tmp_path)))


@pytest.mark.slow
def test_the_shipped_model_hears_speech() -> None:
    hibari = pytest.importorskip("hibari")
    pytest.importorskip("onnxruntime")
    samples = np.asarray(hibari.Hibari()("The cat sat on the warm blanket.", seed=0), np.float32)
    found = build(MoonshineConfig()).transcribe([Waveform(samples, 24000)])[0]
    assert found.text.lower().rstrip(".") == "the cat sat on the warm blanket"

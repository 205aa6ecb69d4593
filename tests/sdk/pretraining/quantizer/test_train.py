"""From speech to a tokenizer folder, small enough to run in seconds."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from orality import CorpusError, TrainingError
from orality.pretraining.data import Utterance
from orality.pretraining.quantizer.frame_training import EncoderSettings
from orality.pretraining.quantizer.train import train_quantizer

TONES = {"aa": 300.0, "iy": 900.0, "s": 3000.0, "pau": 0.0}
SMALL = EncoderSettings(width=32, layers=2, steps=30, batch_seconds=4.0, learning_rate=3e-3)


def sing(number: int) -> tuple[np.ndarray, tuple[tuple[str, float, float], ...]]:
    """A second of speech in which each phone is a tone of its own."""
    rng = np.random.default_rng(number)
    names = [list(TONES)[i] for i in rng.integers(0, 4, 5)]
    time = np.arange(3200) / 16_000
    parts = [np.sin(2 * np.pi * TONES[name] * time) for name in names]
    wave = 0.1 * np.concatenate(parts) + 0.001 * rng.standard_normal(16_000)
    spans = tuple((name, 0.2 * i, 0.2 * (i + 1)) for i, name in enumerate(names))
    return wave.astype(np.float32), spans


def speech(count: int, first: int = 0, phones: bool = True) -> list[Utterance]:
    def read(number: int) -> np.ndarray:
        return sing(number)[0]

    return [
        Utterance(
            f"u{i}", 16_000, partial(read, i), f"text {i}", "singer", sing(i)[1] if phones else ()
        )
        for i in range(first, first + count)
    ]


def test_phones_as_targets_give_units_that_know_the_phones(tmp_path: Path) -> None:
    made = train_quantizer(
        speech(48), dev=speech(12, 100), out=tmp_path, targets="alignment", num_units=8,
        name="songs-25hz", settings=SMALL, device="cpu",
    )  # fmt: skip
    assert made.quality["all"].pnmi > 0.5
    table = load_file(made.folder / "kmeans.safetensors")["centroids"]
    assert table.shape == (8, 32)
    assert made.unit_spec.codebook == f"songs-25hz/l{made.layer}/km8"
    assert made.unit_spec.fingerprint == hashlib.sha256(table.tobytes()).hexdigest()
    assert json.loads((made.folder / "units.json").read_text())["vocab_size"] == 8
    assert {"config.json", "model.safetensors", "preprocessor_config.json"} <= {
        path.name for path in made.folder.iterdir()
    }


def test_a_language_without_writing_goes_from_mfcc_to_an_earlier_encoder(tmp_path: Path) -> None:
    unwritten, dev = speech(24, phones=False), speech(4, 100, phones=False)
    first = train_quantizer(
        unwritten, dev=dev, out=tmp_path / "first", targets="mfcc", target_clusters=8, num_units=8,
        settings=EncoderSettings(width=32, layers=2, steps=4, batch_seconds=8.0), device="cpu",
    )  # fmt: skip
    assert first.quality == {}
    assert first.layer == 1  # two thirds of two layers
    second = train_quantizer(
        unwritten, dev=dev, out=tmp_path / "second", targets="encoder", teacher=first.folder,
        teacher_layer=first.layer, target_clusters=8, num_units=8, layer=2,
        settings=EncoderSettings(width=32, layers=2, steps=4, batch_seconds=8.0), device="cpu",
    )  # fmt: skip
    assert second.unit_spec.codebook.endswith("/l2/km8")


def test_the_tokenizer_plugin_reads_what_was_made(tmp_path: Path) -> None:
    loading = pytest.importorskip("orality_tokenizer_hubert.loading")
    made = train_quantizer(
        speech(24), dev=speech(4, 100), out=tmp_path, targets="alignment", num_units=6,
        settings=EncoderSettings(width=32, layers=2, steps=4, batch_seconds=8.0), device="cpu",
    )  # fmt: skip
    tokenizer = loading.load_hubert_tokenizer(made.folder, device="cpu")
    assert tokenizer.unit_spec == made.unit_spec


def test_alignment_without_phones_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no phone times"):
        train_quantizer(speech(4, phones=False), dev=speech(2), out=tmp_path, targets="alignment")


def test_an_encoder_target_without_a_teacher_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="teacher"):
        train_quantizer(speech(4), dev=speech(2), out=tmp_path, targets="encoder")


def test_recordings_that_share_an_id_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="share an id"):
        train_quantizer(speech(4), dev=speech(1), out=tmp_path, targets="mfcc", settings=SMALL)

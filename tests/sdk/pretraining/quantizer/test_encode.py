"""Units of recordings, encoded once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import orality
from orality import CheckpointError, CorpusError, Waveform
from orality.pretraining.data import Utterance
from orality.pretraining.quantizer.encode import deduplicate, encode_frames, layer_of
from orality.pretraining.quantizer.encoder import layer_features, small_config
from orality.pretraining.quantizer.train import save_encoder, write_codebook

RATE = 16_000


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("tokenizer"), seed=0)


def make(folder: Path, seed: int, layer: int = 1) -> Path:
    """An encoder of random weights with some of its frames as centroids: units without meaning."""
    from transformers import HubertModel

    torch.manual_seed(seed)
    model = HubertModel(small_config(width=16, layers=2)).eval()
    # a final norm that cannot be left out without being noticed
    torch.nn.init.normal_(model.encoder.layer_norm.weight, std=2.0)
    torch.nn.init.normal_(model.encoder.layer_norm.bias)
    save_encoder(model, folder)
    frames = [layer_features(model, item.read(), [layer])[layer] for item in speech(3)]
    write_codebook(folder, model, layer, torch.cat(frames)[::13][:6], name="random-25hz")
    return folder


def speech(count: int) -> list[Utterance]:
    def wave(number: int) -> np.ndarray:
        rng = np.random.default_rng(number)
        loud = np.repeat(rng.random(5) * 0.3, RATE // 5)
        return (loud * rng.standard_normal(RATE)).astype(np.float32)

    return [Utterance(f"u{n}", RATE, lambda n=n: wave(n)) for n in range(count)]


def test_repeats_are_merged_and_nothing_stays_nothing() -> None:
    assert deduplicate(np.array([3, 3, 1, 1, 1, 3])).tolist() == [3, 1, 3]
    assert deduplicate(np.array([], np.int64)).tolist() == []


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_frames_are_those_of_the_tokenizer_plugin(tmp_path: Path, layer: int) -> None:
    tokenizer = make(tmp_path / "tokenizer", seed=0, layer=layer)
    utterances = speech(3)
    frames = encode_frames(tokenizer, utterances, cache=tmp_path, device="cpu")
    assert [len(frames[f"u{n}"]) for n in range(3)] == [(RATE - 720) // 640 + 1] * 3
    plugin = orality.build("tokenizer", "hubert", checkpoint=str(tokenizer), device="cpu")
    heard = plugin.encode([Waveform(item.read(), RATE) for item in utterances])
    for item, units in zip(utterances, heard, strict=True):
        assert deduplicate(frames[item.id]).tolist() == units.ids.tolist()
        assert units.durations.sum() == len(frames[item.id])
    assert len(np.unique(np.concatenate(list(frames.values())))) > 1


def test_what_was_encoded_is_not_encoded_again(
    tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orality.pretraining.quantizer.encode.CHUNK", 2)
    seen: list[tuple[str, int, int]] = []

    def stop(stage: str, done: int, total: int, note: str = "") -> None:
        seen.append((stage, done, total))
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_frames(
            tokenizer, speech(5), cache=tmp_path, device="cpu", progress=stop, name="units"
        )
    assert seen == [("units", 2, 5), ("units", 4, 5)]
    unread = [
        Utterance(item.id, item.length, lambda: pytest.fail("was read again")) for item in speech(4)
    ]
    units = encode_frames(tokenizer, [*unread, speech(5)[4]], cache=tmp_path, device="cpu")
    fresh = encode_frames(tokenizer, speech(5), cache=tmp_path / "fresh", device="cpu")
    assert {k: v.tolist() for k, v in units.items()} == {k: v.tolist() for k, v in fresh.items()}


def test_units_of_other_recordings_or_another_codebook_are_not_mixed_in(
    tokenizer: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    encode_frames(tokenizer, speech(2), cache=cache, device="cpu")
    with pytest.raises(CorpusError, match="the corpus has changed"):
        encode_frames(tokenizer, speech(3), cache=cache, device="cpu")
    with pytest.raises(CorpusError, match="other recordings"):
        encode_frames(make(tmp_path / "other", seed=1), speech(2), cache=cache, device="cpu")


def test_the_layer_is_part_of_the_codebooks_name(tokenizer: Path, tmp_path: Path) -> None:
    assert layer_of(tokenizer) == 1
    (tmp_path / "units.json").write_text(
        '{"codebook": "nameless", "vocab_size": 6, "frame_rate": 25.0}'
    )
    with pytest.raises(CheckpointError, match="'nameless'.*names no layer"):
        layer_of(tmp_path)

"""Speech from folders: what is read, what is left out, how batches are made."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile

from orality import CorpusError
from orality.pretraining.data import Utterance, held_out, length_batches, open_speech
from orality.pretraining.quantizer.phones import phone_inventory, phones_at


def tone(seconds: float, rate: int) -> np.ndarray:
    return 0.1 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)


def utterance(name: str = "a", text: str | None = None, **more: object) -> Utterance:
    return Utterance(name, 16_000, lambda: np.zeros(16_000, np.float32), text, **more)  # type: ignore[arg-type]


def test_audio_files_of_any_rate_and_format_are_found(tmp_path: Path) -> None:
    (tmp_path / "anna").mkdir()
    soundfile.write(tmp_path / "anna" / "a.flac", tone(1.0, 24_000), 24_000)
    soundfile.write(tmp_path / "b.wav", np.stack([tone(0.5, 8_000)] * 2, 1), 8_000)
    speech = open_speech(tmp_path)
    assert [(u.id, u.length) for u in speech] == [("anna/a.flac", 16_000), ("b.wav", 8_000)]
    assert speech[0].voice == "anna"
    for one in speech:
        samples = one.read()
        assert samples.dtype == np.float32
        assert abs(len(samples) - one.length) <= 1


def test_a_manifest_decides_what_counts(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(0.1, 16_000), 16_000)
    soundfile.write(tmp_path / "b.wav", tone(0.1, 16_000), 16_000)
    row = {"audio": "b.wav", "id": "second", "text": "hello", "voice": "bo"}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(row) + "\n")
    (found,) = open_speech(tmp_path)
    assert (found.id, found.text, found.voice) == ("second", "hello", "bo")


def test_a_file_that_is_no_audio_is_named_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    soundfile.write(tmp_path / "a.wav", tone(0.1, 16_000), 16_000)
    (tmp_path / "bad.wav").write_bytes(b"RIFF nothing")
    with caplog.at_level(logging.WARNING):
        assert [u.id for u in open_speech(tmp_path)] == ["a.wav"]
    assert "bad.wav" in caplog.text


def test_a_folder_without_speech_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no usable recording"):
        open_speech(tmp_path)
    with pytest.raises(CorpusError, match="is no folder"):
        open_speech(tmp_path / "nowhere")


def test_a_compact_corpus_is_read_up_to_what_is_whole(tmp_path: Path) -> None:
    np.array([0, 16384, -32768, 100], "<i2").tofile(tmp_path / "speech.i16")
    rows = [
        {"id": "a", "text": "x", "voice": "v", "offset": 0, "length": 3,
         "phones": [["aa", 0.0, 0.1]], "words": []},
        {"id": "b", "text": "y", "voice": "v", "offset": 3, "length": 9, "phones": [], "words": []},
    ]  # fmt: skip
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "index.jsonl").write_text(text + '{"id": "c", "off')
    (found,) = open_speech(tmp_path)
    assert found.phones == (("aa", 0.0, 0.1),)
    np.testing.assert_array_equal(found.read(), np.array([0, 0.5, -1], np.float32))


def test_no_text_is_on_both_sides_of_the_split() -> None:
    speech = [utterance(f"{voice}-{i}", f"text {i}") for i in range(400) for voice in "ab"]
    training, kept = held_out(speech, 0.1)
    assert not {u.text for u in training} & {u.text for u in kept}
    assert 0.05 < len(kept) / len(speech) < 0.15
    assert {u.id for u in held_out(speech[::-1], 0.1)[1]} == {u.id for u in kept}


def test_too_little_speech_to_hold_out_is_an_error() -> None:
    with pytest.raises(CorpusError, match="too few to hold out"):
        held_out([utterance()])


def test_every_utterance_comes_once_per_epoch_and_order_follows_the_seed() -> None:
    lengths = list(np.random.default_rng(0).integers(100, 1000, 57))
    batch = length_batches(lengths, 3000, seed=1)
    seen: list[int] = []
    step = 0
    while len(seen) < len(lengths):
        group = batch(step)
        assert sum(lengths[i] for i in group) <= 3000 or len(group) == 1
        seen += group
        step += 1
    assert sorted(seen) == list(range(57))
    later = [batch(i) for i in range(step, 2 * step)]
    fresh = length_batches(lengths, 3000, seed=1)
    assert [fresh(i) for i in range(step, 2 * step)] == later  # asked out of order
    assert later != [batch(i) for i in range(step)]
    assert [length_batches(lengths, 3000, seed=2)(i) for i in range(3)] != [
        batch(i) for i in range(3)
    ]


def test_phones_are_read_off_their_times_by_hand() -> None:
    spans = (("pau", 0.1, 0.2), ("aa", 0.2, 0.5), ("t", 0.5, 0.6))
    one = utterance(phones=spans)
    inventory = phone_inventory([one])
    assert inventory == ["aa", "pau", "t"]
    seconds = np.array([0.0, 0.15, 0.2, 0.49, 0.5, 0.6, 5.0])
    names = [inventory[i] for i in phones_at(one, seconds * 16_000, inventory)]
    assert names == ["pau", "pau", "aa", "aa", "t", "pau", "pau"]


def test_speech_without_phones_points_to_targets_that_need_none() -> None:
    with pytest.raises(CorpusError, match="mfcc"):
        phone_inventory([utterance()])

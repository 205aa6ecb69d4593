"""lhotse's cuts; the lines are written by hand in the form that lhotse 1.33 writes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from orality import AudioError, CorpusError, Word
from orality.corpus import load_corpus

RATE = 16_000


def cut(name: str, **changes: Any) -> dict[str, Any]:
    """Seconds 2 to 10 of a recording in which somebody speaks from 2.5 to 9."""
    words = [["hello", 2.5, 0.5, 0.9], ["", 3.0, 0.2, None], ["there", 3.2, 0.6], ["you", 4.0, 5.0]]
    supervision = {
        "id": "s", "recording_id": "r", "start": 0.0, "duration": 8.0, "channel": 0,
        "text": "Hello there, you.", "language": "fr", "alignment": {"word": words},
    }  # fmt: skip
    recording = {
        "id": "r", "sources": [{"type": "file", "channels": [0], "source": "r.wav"}],
        "sampling_rate": RATE, "num_samples": 12 * RATE, "duration": 12.0, "channel_ids": [0],
    }  # fmt: skip
    whole = {
        "id": name, "start": 2.0, "duration": 8.0, "channel": 0, "supervisions": [supervision],
        "recording": recording, "type": "MonoCut",
    }  # fmt: skip
    return whole | changes


def write(folder: Path, *cuts: dict[str, Any], name: str = "cuts.jsonl") -> Path:
    content = "".join(json.dumps(item) + "\n" for item in cuts).encode()
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


@pytest.fixture
def samples(tmp_path: Path) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 0.1, (12 * RATE, 2)).astype(np.float32)
    soundfile.write(tmp_path / "r.wav", noise[:, 0], RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "both.wav", noise, RATE, subtype="FLOAT")
    return noise


@pytest.mark.parametrize("name", ["cuts.jsonl", "cuts.jsonl.gz"])
def test_a_cut_is_a_slice_whose_words_count_from_its_start(tmp_path, samples, name):
    first, second = load_corpus(write(tmp_path, cut("b"), cut("a", start=3.0), name=name))
    assert (first.id, second.id) == ("a", "b")
    assert (second.text, second.language) == ("Hello there, you.", "fr")
    assert second.audio == f"{tmp_path / 'r.wav'}#t=2,10"
    assert [(w.text, round(w.start, 6), round(w.end, 6)) for w in second.words] == [
        ("hello", 0.5, 1.0), ("there", 1.2, 1.8), ("you", 2.0, 7.0),
    ]  # fmt: skip
    assert (second.load().samples == samples[2 * RATE : 10 * RATE, 0]).all()
    assert (first.load().samples == samples[3 * RATE : 11 * RATE, 0]).all()
    assert second.load(sample_rate=8_000).sample_rate == 8_000


def test_what_is_said_outside_of_a_cut_is_not_its_text(tmp_path, samples):
    inside = cut("a")["supervisions"][0] | {"start": -1.0}
    (found,) = load_corpus(write(tmp_path, cut("a", start=3.1, supervisions=[inside])))
    assert found.text == "there you"  # "hello" ended at 3.0
    assert found.words[0] == Word("there", pytest.approx(0.1), pytest.approx(0.7))
    bare = inside | {"alignment": None}
    (found,) = load_corpus(write(tmp_path, cut("a", start=3.1, supervisions=[bare])))
    assert found.text is None


def test_several_supervisions_are_one_text(tmp_path, samples):
    one, two = (
        {"id": text, "start": start, "duration": 2.0, "text": text, "channel": 0}
        for text, start in (("first", 0.0), ("second", 4.0))
    )
    (found,) = load_corpus(write(tmp_path, cut("a", supervisions=[one, two])))
    assert (found.text, found.words, found.language) == ("first second", (), "en")


@pytest.mark.parametrize(
    ("kind", "channel", "sources", "expected"),
    [
        ("MonoCut", 1, [([0, 1], "both.wav")], 1),
        ("MonoCut", 7, [([3], "both.wav"), ([7], "r.wav")], 0),
        ("MultiCut", [0, 1], [([0, 1], "both.wav")], None),
    ],
)
def test_channels_are_found_in_their_sources(tmp_path, samples, kind, channel, sources, expected):
    recording = cut("a")["recording"] | {
        "sources": [{"type": "file", "channels": c, "source": path} for c, path in sources]
    }
    line = cut("a", type=kind, channel=channel, recording=recording, supervisions=[])
    (found,) = load_corpus(write(tmp_path, line))
    part = samples[2 * RATE : 10 * RATE]
    wanted = part.mean(axis=1) if expected is None else part[:, expected]
    np.testing.assert_allclose(found.load().samples, wanted, atol=1e-7)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"type": "MixedCut", "tracks": []}, "is a MixedCut; wanted MonoCut"),
        ({"type": "PaddingCut"}, "is a PaddingCut; wanted MonoCut"),
        ({"recording": None}, "has no recording, only features"),
        ({"transforms": [{"name": "Speed", "kwargs": {}}]}, "altered when it is read (Speed)"),
        ({"sources": [{"type": "url", "channels": [0], "source": "u"}]}, "of the type 'url'"),
        ({"type": "MultiCut", "channel": [0], "sources": [
            {"type": "file", "channels": [0, 1], "source": "both.wav"}]}, "some of its recording"),
    ],
)  # fmt: skip
def test_what_is_no_slice_of_a_file_is_listed_and_says_why(tmp_path, changes, reason):
    inner = {key: changes[key] for key in ("transforms", "sources") if key in changes}
    recording = cut("a")["recording"] | inner
    line = cut("a", recording=recording) | {k: v for k, v in changes.items() if k not in inner}
    (found,) = load_corpus(write(tmp_path, line))
    with pytest.raises(AudioError) as caught:
        found.load()
    assert reason in str(caught.value)
    assert "'a'" in str(caught.value)
    assert found.audio == f"{tmp_path / 'cuts.jsonl'}#cut=a"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (json.dumps(cut("a")) + "\n{", "line 2 cannot be read as JSON"),
        (json.dumps(cut("a")) + "\n{}", "line 2 is no cut: it must have an id and a type"),
        (json.dumps(cut("a", start=None)), "line 1 is no cut that can be read"),
        (json.dumps(cut("a", channel=5)), "no source has the channel 5"),
        (json.dumps(cut("a")) + "\n" + json.dumps(cut("a")), "id 'a' twice"),
    ],
)
def test_a_malformed_list_is_named(tmp_path, lines, said):
    (tmp_path / "cuts.jsonl").write_text(lines)
    with pytest.raises(CorpusError, match=said):
        load_corpus(tmp_path / "cuts.jsonl")


def test_a_list_that_is_no_gzip_is_named(tmp_path):
    (tmp_path / "cuts.jsonl.gz").write_bytes(b"\x1f\x8b not gzip")
    with pytest.raises(CorpusError, match=r"cuts\.jsonl\.gz cannot be read"):
        load_corpus(tmp_path / "cuts.jsonl.gz")


def test_a_slice_beyond_the_end_is_no_recording(tmp_path, samples):
    (found,) = load_corpus(write(tmp_path, cut("a", start=5.0)))
    with pytest.raises(AudioError, match=r"lasts 12.00 s, and 5.00 s to 13.00 s was asked for"):
        found.load()

"""Several files of one name: each recording gets its own, or none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orality import Waveform, write_audio
from orality.corpus import load_corpus
from orality.corpus.names.nearest import nearest

SAID = {"ada": ["red", "kites"], "ben": ["green", "frogs"], "cleo": ["blue", "owls"]}
# Where recording and alignment of a speaker lie.
LAYOUTS = {
    "together": ("{who}/s01.wav", "{who}/s01{suffix}"),
    "side by side": ("{who}/wav/s01.wav", "{who}/aligned/s01{suffix}"),
    "mirrored": ("sound/{who}/s01.wav", "aligned/{who}/s01{suffix}"),
    "deeper": ("sound/{who}/wav/s01.wav", "aligned/{who}/words/s01{suffix}"),
}


def textgrid(words):
    rows = " ".join(f'{n} {n + 1} "{word}"' for n, word in enumerate(words))
    return f'"ooTextFile" "TextGrid" 0 2 <exists> 1 "IntervalTier" "words" 0 2 {len(words)} {rows}'


def aligned(words, suffix, name="s01"):
    if suffix == ".TextGrid":
        return textgrid(words)
    if suffix == ".ctm":
        return "".join(f"{name} 1 {n} 1 {word}\n" for n, word in enumerate(words))
    rows = ", ".join(f'["{word}", {n}, {n + 1}]' for n, word in enumerate(words))
    return f'{{"aligned_text": [{rows}]}}'


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def sound(path, seconds=2.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_audio(path, Waveform(np.full(int(16_000 * seconds), 0.1, np.float32), 16_000))


@pytest.mark.parametrize("suffix", [".TextGrid", ".json", ".ctm"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_speakers_with_recordings_of_one_name_get_their_own_words(tmp_path, layout, suffix):
    recording, alignment = LAYOUTS[layout]
    for who, words in SAID.items():
        sound(tmp_path / recording.format(who=who))
        put(tmp_path / alignment.format(who=who, suffix=suffix), aligned(words, suffix))
    found = {item.id.split("-")[-2 - ("wav" in item.id)]: item for item in load_corpus(tmp_path)}
    assert {who: [w.text for w in item.words] for who, item in found.items()} == SAID


def test_whose_alignment_is_missing_gets_none_rather_than_another_s(tmp_path):
    for who in SAID:
        sound(tmp_path / who / "s01.wav")
    put(tmp_path / "ada" / "s01.TextGrid", textgrid(SAID["ada"]))
    put(tmp_path / "elsewhere" / "s01.TextGrid", textgrid(["nobody's"]))
    found = {item.id: [word.text for word in item.words] for item in load_corpus(tmp_path)}
    assert found == {"ada-s01": SAID["ada"], "ben-s01": [], "cleo-s01": []}


def test_words_are_taken_from_the_words_of_an_aligner_s_folders(tmp_path):
    sound(tmp_path / "a.wav")
    for level, words in {
        "tokens": ["re", "d"],
        "words": ["red"],
        "segments": ["red kites"],
    }.items():
        put(tmp_path / "ctm" / level / "a.ctm", aligned(words, ".ctm", "a"))
    (item,) = load_corpus(tmp_path)
    assert [word.text for word in item.words] == ["red"]


def test_slices_of_an_aligned_recording_get_the_words_inside_them(tmp_path):
    sound(tmp_path / "talk.wav", 12.0)
    put(tmp_path / "talk.json", aligned([f"w{n}" for n in range(12)], ".json"))
    rows = [
        f'{{"audio": "talk.wav", "id": "t{at}", "offset": {at}, "duration": 4}}' for at in (0, 4, 8)
    ]
    put(tmp_path / "manifest.jsonl", "\n".join(rows))
    found = {item.id: [(w.text, w.start) for w in item.words] for item in load_corpus(tmp_path)}
    assert found == {f"t{at}": [(f"w{at + n}", n) for n in range(4)] for at in (0, 4, 8)}


def test_a_slice_with_an_alignment_of_its_own_keeps_its_times(tmp_path):
    sound(tmp_path / "talk.wav", 12.0)
    put(tmp_path / "t4.json", aligned(["own", "words"], ".json"))
    put(tmp_path / "talk.json", aligned([f"w{n}" for n in range(12)], ".json"))
    put(
        tmp_path / "manifest.jsonl", '{"audio": "talk.wav", "id": "t4", "offset": 4, "duration": 4}'
    )
    (item,) = load_corpus(tmp_path)
    assert [(word.text, word.start) for word in item.words] == [("own", 0.0), ("words", 1.0)]


parts = st.lists(st.sampled_from(["a", "b", "c"]), max_size=3).map("/".join)


@given(st.lists(parts, unique=True, min_size=1, max_size=4), st.data())
def test_no_two_recordings_of_one_name_share_a_file(folders, data):
    recordings = [f"/r/{folder}/s.wav" for folder in folders]
    files = [f"/r/{data.draw(parts)}/s.json" for _ in range(3)]
    given_files = [
        nearest(files, own, [other for other in recordings if other != own]) for own in recordings
    ]
    taken = [file for file in given_files if file is not None]
    if len(recordings) > 1:
        assert len(taken) == len(set(taken))

from __future__ import annotations

import json

import pytest

from orality import CorpusError
from orality.corpus import load_corpus


def test_a_manifest_gives_words_text_and_split(tmp_path):
    row = {"id": "a", "audio": "a.flac", "text": "hi", "words": [["hi", 0, 0.5]], "split": "dev"}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(row) + "\n\n")
    (utterance,) = load_corpus(tmp_path)
    assert utterance.audio == str(tmp_path / "a.flac")
    assert utterance.words[0].end == 0.5
    assert utterance.split == "dev"


def test_a_folder_is_searched_for_recordings_and_transcripts(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "one.wav").write_bytes(b"")
    (tmp_path / "x" / "one.txt").write_text("one word\n")
    (tmp_path / "two.MP3").write_bytes(b"")
    (tmp_path / "notes.pdf").write_bytes(b"")
    found = load_corpus(tmp_path)
    assert [(item.id, item.text) for item in found] == [("two", None), ("x-one", "one word")]


def test_files_of_one_stem_keep_different_ids(tmp_path):
    for suffix in ("wav", "flac"):
        (tmp_path / f"same.{suffix}").write_bytes(b"")
    assert len({item.id for item in load_corpus(tmp_path)}) == 2


def test_a_small_folder_still_has_every_split(tmp_path):
    for number in range(5):
        (tmp_path / f"{number}.wav").write_bytes(b"")
    assert {item.split for item in load_corpus(tmp_path)} == {"train", "dev", "test"}


def test_a_missing_corpus_says_what_is_possible(tmp_path):
    with pytest.raises(CorpusError, match="shipped names stories, toy"):
        load_corpus(tmp_path / "nowhere")


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(CorpusError, match="holds no recordings"):
        load_corpus(tmp_path)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "line 1 cannot be read as JSON"),
        ('{"text": "no audio"}', "key 'audio'"),
        ('{"audio": "a.wav", "words": [["a"]]}', "triples"),
        ('{"audio": "a.wav", "split": "training"}', "split is 'training'"),
        ('{"audio": "a.wav"}\n{"audio": "b/a.wav"}', "id 'a' twice"),
    ],
)
def test_a_malformed_manifest_names_the_line(tmp_path, line, reason):
    path = tmp_path / "corpus.jsonl"
    path.write_text(line)
    with pytest.raises(CorpusError, match=reason):
        load_corpus(path)


def test_the_shipped_toy_corpus_is_there():
    assert {item.split for item in load_corpus("toy")} == {"train", "dev", "test"}

from __future__ import annotations

import gc
import json
import os
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from orality import AudioError, CorpusError
from orality.corpus import load_corpus
from orality.corpus.names.names import LineIndex, NameIndex

RATE = 16_000


def manifest(folder: Path, count: int, **more: object) -> Path:
    path = folder / "m.jsonl"
    words = [[f"word{i}", i * 0.3, i * 0.3 + 0.2] for i in range(35)]
    with path.open("w") as file:
        for number in range(count):
            row = {"id": f"u-{number:06d}", "audio": f"a/{number}.flac", "words": words} | more
            file.write(json.dumps(row) + "\n")
    return path


def test_a_corpus_is_a_sequence(tmp_path):
    corpus = load_corpus(manifest(tmp_path, 12))
    assert len(corpus) == 12
    assert [item.id for item in corpus[2:5]] == ["u-000002", "u-000003", "u-000004"]
    assert corpus[-1] == corpus[11] == list(corpus)[11]
    assert corpus[0].audio == str(tmp_path / "a/0.flac")
    with pytest.raises(IndexError):
        corpus[12]


def test_names_and_splits_are_known_without_making_utterances(tmp_path, monkeypatch):
    corpus = load_corpus(manifest(tmp_path, 40))
    everything = list(corpus)
    monkeypatch.setattr(corpus, "_utterance", lambda number: pytest.fail("was made"))
    for split in ("train", "dev", "test"):
        assert corpus.ids_of(split) == [item.id for item in everything if item.split == split]
        assert [everything[i].id for i in corpus.indices_of(split)] == corpus.ids_of(split)
    assert len(corpus.ids_of("train")) == 32


def test_an_utterance_is_found_by_its_id(tmp_path):
    corpus = load_corpus(manifest(tmp_path, 30))
    assert all(corpus.find(item.id) == item for item in corpus)
    for name in ("", "u-000030", "u-00001", "z"):
        with pytest.raises(KeyError):
            corpus.find(name)


def test_ids_are_ordered_as_text_whatever_their_letters(tmp_path):
    names = ["b", "é", "a", "Z", "\U0001f600", "中"]
    lines = [json.dumps({"id": name, "audio": "a.wav"}) for name in names]
    (tmp_path / "m.jsonl").write_text("\n".join(lines))
    corpus = load_corpus(tmp_path / "m.jsonl")
    assert [item.id for item in corpus] == sorted(names)
    assert [corpus.find(name).id for name in names] == names


def test_neighbors_in_the_file_can_be_read_together(tmp_path):
    lines = [json.dumps({"id": name, "audio": "a.wav"}) for name in "dbca"]
    (tmp_path / "m.jsonl").write_text("\n".join(lines))
    corpus = load_corpus(tmp_path / "m.jsonl")
    order = corpus.in_storage_order([0, 1, 2, 3])
    assert [corpus[index].id for index in order] == list("dbca")


def test_utterances_and_corpora_go_to_other_processes(tmp_path):
    corpus = load_corpus(manifest(tmp_path, 5), language="fr")
    content = pickle.dumps(corpus)
    assert len(content) < 1000
    assert list(pickle.loads(content)) == list(corpus)
    assert pickle.loads(pickle.dumps(corpus[3])) == corpus[3]


def test_what_is_held_of_an_utterance_is_its_name_and_place(tmp_path):
    """35 words with times are a kilobyte in the manifest and some five as objects."""
    path = manifest(tmp_path, 3_000)
    load_corpus(path)  # what is imported on the way does not count
    tracemalloc.start()
    corpus = load_corpus(path)
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(corpus) == 3_000
    assert held / len(corpus) < 500


def test_a_manifest_may_be_nemo_s_and_name_slices(tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * RATE).astype(np.float32)
    soundfile.write(tmp_path / "long.wav", noise, RATE, subtype="FLOAT")
    rows = [
        {"audio_filepath": "long.wav", "duration": 3.0, "text": "all of it", "lang": "de"},
        {"audio_filepath": "long.wav", "offset": 0.5, "duration": 1.0, "text": "a part"},
        {"audio_filepath": "long.wav", "offset": 1.5, "duration": 1.0, "text": "another"},
    ]
    (tmp_path / "m.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    corpus = load_corpus(tmp_path / "m.json", columns={"language": "lang"})
    assert [item.id for item in corpus] == ["long", "long-0.500", "long-1.500"]
    assert [item.language for item in corpus] == ["de", "en", "en"]
    assert corpus[0].audio == str(tmp_path / "long.wav")
    assert corpus[1].audio == f"{tmp_path / 'long.wav'}#t=0.5,1.5"
    assert (corpus[1].load().samples == noise[RATE // 2 : 3 * RATE // 2]).all()


@pytest.mark.parametrize(
    "row", [{"offset": 1.0}, {"offset": "soon", "duration": 1}, {"offset": 1, "duration": []}]
)
def test_half_a_slice_is_an_error(tmp_path, row):
    (tmp_path / "m.jsonl").write_text(json.dumps({"audio": "a.wav"} | row))
    with pytest.raises(CorpusError, match="line 1: offset and duration must both be seconds"):
        load_corpus(tmp_path / "m.jsonl")


def test_a_quoted_line_break_does_not_confuse_a_csv(tmp_path):
    (tmp_path / "m.csv").write_text('\ufeffid,audio,text\nb,b.wav,"two\nlines"\na,a.wav,one\n')
    first, second = load_corpus(tmp_path / "m.csv")
    assert (first.id, first.text) == ("a", "one")
    assert (second.id, second.text) == ("b", "two\nlines")


def test_one_bad_alignment_is_one_bad_recording(tmp_path):
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(RATE), RATE)
    (tmp_path / "a.TextGrid").write_text("no TextGrid")
    (tmp_path / "b.json").write_text('{"aligned_text": [["hi", 0, 0.5]]}')
    bad, good = load_corpus(tmp_path)
    assert good.words[0].text == "hi"
    assert good.load().duration == 1.0
    with pytest.raises(AudioError, match=r"a\.TextGrid is no whole TextGrid"):
        bad.load()


def test_names_that_are_no_text_are_read_and_printed(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.full(RATE, 0.1), RATE)
    folder = os.fsencode(tmp_path)
    os.rename(os.path.join(folder, b"x.wav"), os.path.join(folder, b"caf\xe9.wav"))
    (found,) = load_corpus(tmp_path)
    assert (found.id, found.recording.stem) == ("caf\\xe9", "caf\\xe9")
    assert found.audio == f"{tmp_path}/caf\\xe9.wav"
    assert found.load().duration == 1.0


def test_linked_folders_are_followed_once(tmp_path):
    for name in ("outside/one.wav", "corpus/two.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "corpus/there").symlink_to(tmp_path / "outside")
    (tmp_path / "corpus/again").symlink_to(tmp_path / "corpus")
    assert [item.id for item in load_corpus(tmp_path / "corpus")] == ["there-one", "two"]


def test_names_of_one_hash_are_told_apart_by_the_lines(tmp_path, monkeypatch):
    monkeypatch.setattr("orality.corpus.names.names._hash", len)
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfab one\nab two\ncd three\n;; ab no\nab four\n")
    index = LineIndex([tmp_path / "a.txt"], comment=";;")
    assert [line for _, line in index.lines("ab")] == ["ab one", "ab two", "ab four"]
    assert list(index.lines("cd")) == [(f"{tmp_path / 'a.txt'}, line 3", "cd three")]
    assert list(index.lines("ef")) == []


def test_numbers_of_a_name_come_in_order():
    index = NameIndex((f"name-{i % 3}", i) for i in range(9))
    assert index["name-1"] == [1, 4, 7]
    assert index["other"] == []

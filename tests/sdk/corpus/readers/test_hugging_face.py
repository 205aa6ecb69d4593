from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from orality import AudioError, CorpusError, DownloadError, Word
from orality.corpus import load_corpus
from orality.corpus.readers.hub import files_of
from orality.corpus.sources import split_named

RATE = 16_000


def sound(seed: int, seconds: float = 0.5) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, int(seconds * RATE)).astype(np.float32)


def flac(seed: int) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, sound(seed), RATE, format="FLAC")
    return file.getvalue()


def rows(name: str, count: int, **more: Any) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {
        "id": [f"{name}-{i}" for i in range(count)],
        "audio": [{"bytes": flac(i), "path": f"{name}-{i}.flac"} for i in range(count)],
        "text": [f"text {i}" for i in range(count)],
    }
    return columns | {key: [value] * count for key, value in more.items()}


def write_parquet(path: Path, columns: dict[str, list[Any]], group: int = 4) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=group)


def write_arrow(folder: Path, *parts: dict[str, list[Any]], split: str | None = None) -> None:
    """As `save_to_disk` does it."""
    folder.mkdir(parents=True)
    names = []
    for number, columns in enumerate(parts):
        names.append(f"data-{number:05d}-of-{len(parts):05d}.arrow")
        table = pa.table(columns)
        with pa.ipc.new_stream(folder / names[-1], table.schema) as file:
            file.write_table(table, max_chunksize=2)
    state = {"_data_files": [{"filename": name} for name in names], "_split": split}
    (folder / "state.json").write_text(json.dumps(state))


def check(utterance: Any, seed: int) -> None:
    np.testing.assert_allclose(utterance.load().samples, sound(seed), atol=2**-15)


def test_what_save_to_disk_wrote_is_read(tmp_path):
    write_arrow(tmp_path / "saved", rows("a", 5), rows("b", 3))
    corpus = load_corpus(tmp_path / "saved")
    assert [item.id for item in corpus] == [*(f"a-{i}" for i in range(5)), "b-0", "b-1", "b-2"]
    assert {item.split for item in corpus} == {"train", "dev", "test"}  # by the ids' hashes
    last = corpus.find("b-2")
    assert last.text == "text 2"
    assert last.audio.endswith("data-00001-of-00002.arrow#row=2&path=b-2.flac")
    check(last, 2)


def test_the_splits_of_a_saved_dictionary_are_known(tmp_path):
    write_arrow(tmp_path / "train.100", rows("a", 3))
    write_arrow(tmp_path / "validation", rows("b", 2), split="validation")
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train.100", "validation"]}')
    corpus = load_corpus(tmp_path)
    assert [corpus.ids_of(split) for split in ("train", "dev", "test")] == [
        ["a-0", "a-1", "a-2"], ["b-0", "b-1"], [],
    ]  # fmt: skip


def test_the_package_itself_writes_what_is_read_here(tmp_path):
    datasets = pytest.importorskip("datasets")
    made = datasets.Dataset.from_dict(rows("a", 6))
    made = made.cast_column("audio", datasets.Audio(decode=False))
    made.save_to_disk(tmp_path / "saved", num_shards=2)
    made.select([4, 1]).save_to_disk(tmp_path / "chosen")
    datasets.DatasetDict({"test": made}).save_to_disk(tmp_path / "dict")
    made.to_parquet(tmp_path / "shards" / "train-00000-of-00001.parquet", batch_size=2)
    for name in ("saved", "dict", "shards"):
        corpus = load_corpus(tmp_path / name)
        assert len(corpus) == 6
        check(corpus.find("a-3"), 3)
    assert load_corpus(tmp_path / "dict").ids_of("test") == [f"a-{i}" for i in range(6)]
    check(load_corpus(tmp_path / "chosen").find("a-4"), 4)


def test_parquet_shards_are_read_in_any_order(tmp_path):
    write_parquet(tmp_path / "data/train-00000-of-00001.parquet", rows("a", 11))
    write_parquet(tmp_path / "data/test-00000-of-00001.parquet", rows("b", 2))
    corpus = load_corpus(tmp_path)
    assert len(corpus.ids_of("train")) == 11
    assert corpus.ids_of("test") == ["b-0", "b-1"]
    names = [f"a-{i}" for i in (10, 0, 3, 3, 4, 9, 5, 1, 2, 8, 7, 6)]
    for name in names:
        utterance = corpus.find(name)
        check(utterance, int(name[2:]))
        assert utterance.text == f"text {name[2:]}"


def test_columns_of_other_names_are_named_in_the_recipe(tmp_path):
    columns = rows("a", 3, normalized="Hallo", tongue="de", part="validation")
    columns = {("clip" if key == "audio" else key): value for key, value in columns.items()}
    columns["key"] = ["x", "y", "z"]
    write_parquet(tmp_path / "a.parquet", columns)
    asked = {"text": "normalized", "id": "key", "language": "tongue", "split": "part"}
    corpus = load_corpus(tmp_path / "a.parquet", columns=asked)
    assert corpus.ids_of("dev") == ["x", "y", "z"]
    assert (corpus[0].text, corpus[0].language) == ("Hallo", "de")
    check(corpus[1], 1)  # the only struct of bytes and path is the audio
    with pytest.raises(CorpusError, match="has no column 'words'; it has id, clip, text"):
        load_corpus(tmp_path / "a.parquet", columns={"text": "words"})


def test_without_ids_the_inner_paths_are_names(tmp_path):
    columns = rows("a", 2)
    del columns["id"]
    write_parquet(tmp_path / "train.parquet", columns)
    assert [item.id for item in load_corpus(tmp_path)] == ["a-0", "a-1"]
    for cell in columns["audio"]:
        cell["path"] = None
    write_parquet(tmp_path / "train.parquet.d" / "train.parquet", columns)
    found = load_corpus(tmp_path / "train.parquet.d")
    assert [item.id for item in found] == ["train-00000000", "train-00000001"]
    check(found[1], 1)


def test_words_may_be_structs_or_triples(tmp_path):
    structs = [{"word": "hi", "start": 0.0, "end": 0.25}, {"word": "", "start": 0.25, "end": 0.5}]
    write_parquet(tmp_path / "a.parquet", rows("a", 1, words=structs))
    assert load_corpus(tmp_path / "a.parquet")[0].words == (Word("hi", 0.0, 0.25),)
    write_parquet(tmp_path / "b.parquet", rows("a", 1, words=[["hi", "0", "0.25"]]))
    assert load_corpus(tmp_path / "b.parquet")[0].words == (Word("hi", 0.0, 0.25),)


def test_audio_may_be_a_path_or_bytes_alone(tmp_path):
    (tmp_path / "x.flac").write_bytes(flac(0))
    write_parquet(tmp_path / "paths.parquet", {"audio": ["x.flac", "gone.flac"]})
    x, gone = (load_corpus(tmp_path / "paths.parquet").find(name) for name in ("x", "gone"))
    check(x, 0)
    with pytest.raises(AudioError, match=r"gone\.flac cannot be read .* No such file"):
        gone.load()
    write_parquet(tmp_path / "bytes.parquet", {"flac": [flac(3)], "__key__": ["k"]})
    check(load_corpus(tmp_path / "bytes.parquet").find("k"), 3)
    cell = {"bytes": None, "path": "x.flac"}
    write_parquet(tmp_path / "cells.parquet", {"audio": [cell, {"bytes": None, "path": None}]})
    corpus = load_corpus(tmp_path / "cells.parquet")
    check(corpus.find("x"), 0)
    with pytest.raises(AudioError, match="holds neither bytes nor a path"):
        corpus.find("cells-00000001").load()


def test_bytes_that_are_no_audio_are_named_by_their_row(tmp_path):
    write_parquet(tmp_path / "a.parquet", {"audio": [{"bytes": b"no", "path": "n.wav"}]})
    (found,) = load_corpus(tmp_path / "a.parquet")
    with pytest.raises(AudioError, match=r"a\.parquet#row=0&path=n\.wav cannot be read as audio"):
        found.load()


def test_a_dataset_that_is_not_whole_is_named(tmp_path):
    write_arrow(tmp_path / "saved", rows("a", 2))
    (tmp_path / "saved/data-00000-of-00001.arrow").unlink()
    with pytest.raises(CorpusError, match="is no whole dataset: data-00000-of-00001.arrow"):
        load_corpus(tmp_path / "saved")
    (tmp_path / "saved/state.json").write_text('{"_data_files": [{"filename": "../secret"}]}')
    with pytest.raises(CorpusError, match="names the file '../secret'; wanted one in its own"):
        load_corpus(tmp_path / "saved")
    write_parquet(tmp_path / "texts.parquet", {"text": ["a"]})
    with pytest.raises(CorpusError, match="has no column of audio"):
        load_corpus(tmp_path / "texts.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    with pytest.raises(CorpusError, match=r"broken\.parquet cannot be read"):
        load_corpus(tmp_path / "broken.parquet")


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"), ("train.100", "train"), ("train-00000-of-00002.parquet", "train"),
        ("data/validation-00000-of-00001.parquet", "dev"), ("dev-clean", "dev"), ("test.other",
        "test"), ("clean/train.100/0000.parquet", "train"), ("contest", None), ("training", None),
        ("0000.parquet", None), ("Val", "dev"), ("latest/0000.parquet", None),
    ],
)  # fmt: skip
def test_splits_are_told_by_names(name, split):
    assert split_named(name) == split


class Hub:
    """Stands in for the package `datasets`; `load_dataset` gives what it was made with."""

    config = SimpleNamespace(HF_HUB_OFFLINE=False)

    def __init__(self, found: Any) -> None:
        self.found, self.asked = found, []

    def load_dataset(self, name: str, config: Any, **options: Any) -> Any:
        self.asked.append((name, config, options))
        if isinstance(self.found, Exception):
            raise self.found
        split = options.get("split")
        return self.found if split is None else self.found[split]


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    for flag in ("ORALITY_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(flag, raising=False)
    parts = {}
    for split, name in (("train.100", "a"), ("validation", "b")):
        write_arrow(tmp_path / split, rows(name, 2))
        files = [{"filename": str(tmp_path / split / "data-00000-of-00001.arrow")}]
        parts[split] = Rows(files)
    return parts


class Rows:
    def __init__(self, cache_files: list[dict[str, str]], count: int = 2) -> None:
        self.cache_files, self._count = cache_files, count

    def __len__(self) -> int:
        return self._count


def test_a_dataset_on_the_hub_is_asked_for_by_config_splits_and_revision(loaded, monkeypatch):
    hub = Hub(loaded)
    monkeypatch.setitem(sys.modules, "datasets", hub)
    corpus = load_corpus("hf:acme/speech?config=clean&split=train.100,validation&revision=abc")
    assert (corpus.ids_of("train"), corpus.ids_of("dev")) == (["a-0", "a-1"], ["b-0", "b-1"])
    assert hub.asked == [
        ("acme/speech", "clean", {"revision": "abc", "split": "train.100"}),
        ("acme/speech", "clean", {"revision": "abc", "split": "validation"}),
    ]
    hub.asked.clear()
    assert len(load_corpus("hf:acme/speech")) == 4
    assert hub.asked == [("acme/speech", None, {"revision": None})]


@pytest.mark.parametrize("name", ["hf:", "hf:../up", "hf:a/b/c", "hf:a/b?slice=3", "hf:a/b?"])
def test_another_form_is_refused(name):
    with pytest.raises(CorpusError, match="wanted hf:OWNER/NAME"):
        load_corpus(name if name != "hf:a/b?" else "hf:a/b?nothing")


def test_a_part_of_a_split_is_refused(loaded):
    with pytest.raises(CorpusError, match="wanted whole splits"):
        files_of(Rows(loaded["train.100"].cache_files, count=1), "hf:a/b")


def test_what_the_hub_cannot_give_is_one_clear_error(loaded, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", Hub(ConnectionError("no route\nmore")))
    with pytest.raises(DownloadError, match="cannot be had: ConnectionError: no route; check"):
        load_corpus("hf:acme/speech")
    monkeypatch.setenv("ORALITY_OFFLINE", "1")
    with pytest.raises(DownloadError, match="downloads are forbidden"):
        load_corpus("hf:acme/speech")


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(CorpusError, match=r"pip install 'orality\[datasets\]'"):
        load_corpus("hf:acme/speech")

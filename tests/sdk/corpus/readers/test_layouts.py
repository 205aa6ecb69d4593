from __future__ import annotations

import pytest

from orality import CorpusError
from orality.corpus import load_corpus


def put(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_librispeech_is_read_as_distributed_with_its_alignments(tmp_path):
    root = tmp_path / "LibriSpeech"
    put(root, "train-clean-100/19/198/19-198-0000.flac", "train-clean-100/19/198/19-198-0001.flac",
        "dev-other/116/28/116-28-0000.flac", "test-clean/61/70/61-70-0000.flac")  # fmt: skip
    (root / "train-clean-100/19/198/19-198.trans.txt").write_text(
        "19-198-0000 CHAPTER ONE\n19-198-0001 IT WAS\n"
    )
    (root / "dev-other/116/28/116-28.trans.txt").write_text("116-28-0000 AND SO\n")
    (tmp_path / "times").mkdir()
    (tmp_path / "times/19-198.alignment.txt").write_text('19-198-0001 "IT,WAS" "0.5,1.0"\n')
    found = {item.id: item for item in load_corpus(root, alignments=tmp_path / "times")}
    assert {name: (item.split, item.text) for name, item in found.items()} == {
        "19-198-0000": ("train", "CHAPTER ONE"),
        "19-198-0001": ("train", "IT WAS"),
        "116-28-0000": ("dev", "AND SO"),
        "61-70-0000": ("test", None),
    }
    assert [word.end for word in found["19-198-0001"].words] == [0.5, 1.0]
    assert found["19-198-0000"].words == ()


def test_multilingual_librispeech_tells_splits_and_language(tmp_path):
    root = tmp_path / "mls_german_opus"
    put(root, "train/audio/1/2/1_2_000000.opus", "test/audio/3/4/3_4_000001.opus")
    (root / "train/transcripts.txt").write_text("1_2_000000\tguten tag\n")
    (root / "test/transcripts.txt").write_text("3_4_000001\tauf wiedersehen\n")
    assert [(u.id, u.split, u.text, u.language) for u in load_corpus(root)] == [
        ("1_2_000000", "train", "guten tag", "de"),
        ("3_4_000001", "test", "auf wiedersehen", "de"),
    ]


def test_a_folder_may_carry_its_own_alignments(tmp_path):
    put(tmp_path, "one.wav")
    (tmp_path / "all.ctm").write_text("one 1 0.0 0.5 hello\n")
    [found] = load_corpus(tmp_path)
    assert found.text == "hello"
    assert found.words[0].end == 0.5


def test_a_csv_manifest_has_the_columns_of_the_jsonl_one(tmp_path):
    path = tmp_path / "speech.csv"
    path.write_text(
        'audio,id,text,words,split\na.wav,one,"so, hi","[[""so"", 0, 0.2]]",dev\nb.wav,,,,train\n'
    )
    one, two = sorted(load_corpus(path), key=lambda item: item.audio)
    assert (one.id, one.text, one.split, one.words[0].end) == ("one", "so, hi", "dev", 0.2)
    assert (two.id, two.text, two.words) == ("b", None, ())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("text\nhello\n", "line 2 must have a value for the key 'audio'"),
        ("audio,text\na.wav,b,c\n", "line 2 must have no more fields than"),
        ("audio,words\na.wav,[\n", "line 2"),
    ],
)
def test_a_malformed_csv_is_named(tmp_path, content, said):
    path = tmp_path / "speech.csv"
    path.write_text(content)
    with pytest.raises(CorpusError, match=said):
        load_corpus(path)


def test_a_missing_folder_of_alignments_is_an_error(tmp_path):
    put(tmp_path, "one.wav")
    with pytest.raises(CorpusError, match="no folder of alignments"):
        load_corpus(tmp_path, alignments=tmp_path / "nowhere")

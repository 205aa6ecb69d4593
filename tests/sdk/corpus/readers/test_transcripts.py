"""Transcripts where corpora have them, in the encodings they come in."""

from __future__ import annotations

import os

import numpy as np
import pytest

from orality import AudioError, Waveform, write_audio
from orality.corpus import load_corpus

SILENCE = Waveform(np.zeros(16_000, np.float32), 16_000)


def put(path, content=None, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        write_audio(path, SILENCE)
    else:
        path.write_bytes(content.encode(encoding))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_transcript_is_read_in_what_it_says_it_is_written_in(tmp_path, encoding):
    put(tmp_path / "a.wav")
    put(tmp_path / "a.txt", "Grüße aus Köln\n", encoding)
    assert load_corpus(tmp_path)[0].text == "Grüße aus Köln"


def test_a_transcript_that_cannot_be_read_makes_one_recording_unreadable(tmp_path):
    for name in ("a", "b"):
        put(tmp_path / f"{name}.wav")
        put(tmp_path / f"{name}.txt", "Köln", "latin-1" if name == "a" else "utf-8")
    first, second = load_corpus(tmp_path)
    with pytest.raises(AudioError, match=r"a\.txt cannot be read as UTF-8"):
        first.load()
    assert (second.text, second.load().sample_rate) == ("Köln", 16_000)


def test_a_transcript_of_any_size_is_left_unread(tmp_path):
    put(tmp_path / "a.wav")
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(AudioError, match="over 1,048,576 bytes"):
        load_corpus(tmp_path)[0].load()


def test_a_link_that_leads_out_of_the_corpus_is_no_transcript(tmp_path, caplog):
    put(tmp_path / "corpus" / "a.wav")
    put(tmp_path / "secret", "a password")
    os.symlink(tmp_path / "secret", tmp_path / "corpus" / "a.txt")
    assert load_corpus(tmp_path / "corpus")[0].text is None
    assert "leads out of the corpus" in caplog.text


def test_libritts_has_normalized_texts_and_splits(tmp_path):
    for split in ("train-clean-100", "dev-clean", "test-clean"):
        put(tmp_path / split / "84" / "1" / f"84_{split[:2]}.wav")
        put(tmp_path / split / "84" / "1" / f"84_{split[:2]}.normalized.txt", split)
        put(tmp_path / split / "84" / "1" / f"84_{split[:2]}.original.txt", "No. 1")
    found = {(item.text, item.split) for item in load_corpus(tmp_path)}
    assert found == {("train-clean-100", "train"), ("dev-clean", "dev"), ("test-clean", "test")}


def test_vctk_has_its_texts_in_a_folder_of_their_own(tmp_path):
    put(tmp_path / "wav48_silence_trimmed" / "p225" / "p225_001_mic1.flac")
    put(tmp_path / "txt" / "p225" / "p225_001.txt", "Please call Stella.")
    assert [item.text for item in load_corpus(tmp_path)] == ["Please call Stella."]


def test_ljspeech_has_its_texts_in_one_table(tmp_path):
    put(tmp_path / "wavs" / "LJ001-0001.wav")
    put(tmp_path / "metadata.csv", "LJ001-0001|In 1455|In fourteen fifty-five\n")
    assert [item.text for item in load_corpus(tmp_path)] == ["In fourteen fifty-five"]


def test_common_voice_has_a_list_for_each_split(tmp_path):
    for split in ("train", "dev", "test"):
        put(tmp_path / "clips" / f"{split}.wav")
        row = f'1\t{split}.wav\tSagt "{split}".\tde'
        put(tmp_path / f"{split}.tsv", f"client_id\tpath\tsentence\tlocale\n{row}\n")
    put(tmp_path / "validated.tsv", "client_id\tpath\n1\ttrain.wav\n")
    found = {item.id: (item.split, item.text, item.language) for item in load_corpus(tmp_path)}
    assert found == {s: (s, f'Sagt "{s}".', "de") for s in ("train", "dev", "test")}


@pytest.mark.parametrize("ghost", ["._a.wav", "__MACOSX/._a.wav", "__MACOSX/a.wav"])
def test_what_macos_leaves_behind_is_no_recording(tmp_path, ghost):
    put(tmp_path / "a.wav")
    put(tmp_path / ghost, "\0\5\x16\7")
    assert [item.id for item in load_corpus(tmp_path)] == ["a"]

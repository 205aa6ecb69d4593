"""Sixteen recordings that real corpora have: each is used as it should be, or named."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

import orality
from orality import CorpusError, Recipe, resample
from orality.run import build_pairs
from orality.store import iterate_records
from orality.testing.tones import whistle
from orality.types import Units, Waveform

RATE = 16_000
SECONDS = 8.0


def tone(seconds: float = SECONDS, seed: int = 0) -> np.ndarray:
    """A melody that the toy tokenizer understands."""
    count = round(seconds * 25 / 3) + 1
    ids = np.random.default_rng(seed).integers(1, 19, count)
    return whistle(Units(ids)).samples[: int(seconds * RATE)]


def write(path: Path, samples: np.ndarray, rate: int = RATE, subtype: str = "PCM_16") -> None:
    soundfile.write(str(path), samples, rate, subtype=subtype)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def header_only(path: Path) -> None:
    write(path, np.zeros(0))


def cut_flac(path: Path) -> None:
    write(path, tone())
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def no_audio_called_wav(path: Path) -> None:
    path.write_text("this is a transcript, not its recording\n" * 100)


def flac_called_wav(path: Path) -> None:
    flac = path.with_suffix(".flac")
    write(flac, tone())
    flac.rename(path)


def not_a_number(path: Path) -> None:
    samples = tone()
    samples[1000] = np.nan
    write(path, samples, subtype="FLOAT")


def infinite(path: Path) -> None:
    samples = tone()
    samples[1000] = -np.inf
    write(path, samples, subtype="FLOAT")


def zeros(path: Path) -> None:
    write(path, np.zeros(int(SECONDS * RATE)))


def offset(path: Path) -> None:
    write(path, np.full(int(SECONDS * RATE), 0.5))


def eight_kilohertz(path: Path) -> None:
    # Units above 3 kHz fold; what matters is that it is read at its own rate.
    write(path, resample(Waveform(tone(), RATE), 8_000).samples, rate=8_000)


def stereo(path: Path) -> None:
    samples = resample(Waveform(tone(), RATE), 48_000).samples
    write(path, np.stack([samples, samples], axis=1), rate=48_000)


def twenty_four_bits(path: Path) -> None:
    write(path, tone(), subtype="PCM_24")


def beyond_one(path: Path) -> None:
    write(path, 3 * tone(), subtype="FLOAT")


def fifty_milliseconds(path: Path) -> None:
    write(path, tone(0.05))


def forty_minutes(path: Path) -> None:
    write(path, np.zeros(40 * 60 * 100), rate=100)  # the header tells; nothing of it is decoded


def no_permission(path: Path) -> None:
    write(path, tone())
    path.chmod(0)


USED = {
    "flac-called-wav": flac_called_wav,
    "eight-kilohertz": eight_kilohertz,
    "stereo": stereo,
    "twenty-four-bits": twenty_four_bits,
    "beyond-one": beyond_one,
}
# name: (how it is made, suffix, what is said of it, whether it counts as broken)
NAMED: dict[str, tuple[Callable[[Path], None], str, str, bool]] = {
    "empty": (empty, "wav", "cannot be read as audio", True),
    "header-only": (header_only, "wav", "holds no samples", True),
    "cut-flac": (cut_flac, "flac", "cannot be read as audio", True),
    "no-audio-called-wav": (no_audio_called_wav, "wav", "cannot be read as audio", True),
    "not-a-number": (not_a_number, "wav", "not finite numbers", True),
    "infinite": (infinite, "wav", "not finite numbers", True),
    "zeros": (zeros, "wav", "silence: nothing in it is loud enough", False),
    "offset": (offset, "wav", "silence: nothing in it is loud enough", False),
    "fifty-milliseconds": (fifty_milliseconds, "wav", "0.05 s is shorter than 6 s", False),
    "forty-minutes": (forty_minutes, "wav", "2400 s, more than the 120 s accepted", False),
    "no-permission": (no_permission, "wav", "Permission denied", True),
}
ODD_NAME = b"caf\xe9.wav"  # Latin-1, so no valid UTF-8; its sound is fine


def test_there_are_sixteen_cases_and_the_wrong_suffix_is_two():
    assert len(USED) + len(NAMED) + len([ODD_NAME]) == 16 + 1


@pytest.fixture
def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files without any permission are refused to everyone, as they are to all but root."""
    really = os.open

    def opened(path, flags, *args, **kwargs):
        named = isinstance(path, str | bytes | os.PathLike) and os.path.isfile(path)
        if named and os.stat(path).st_mode & 0o777 == 0:
            raise PermissionError(13, "Permission denied", path)
        return really(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", opened)


def recipe(folder: Path, **corpus: object) -> Recipe:
    data = Recipe.load("toy").model_dump()
    data["corpus"] = {"path": str(folder), "max_failures": 0.6} | corpus
    data["evaluation"]["prompts"] = 10
    return Recipe.parse(data)


def make_all(folder: Path) -> None:
    for name, make in USED.items():
        make(folder / f"{name}.wav")
    for name, (make, suffix, _, _) in NAMED.items():
        make(folder / f"{name}.{suffix}")
    write(folder / "plain.wav", tone())
    os.rename(os.fsencode(folder / "plain.wav"), os.path.join(os.fsencode(folder), ODD_NAME))
    for seed in range(3):
        write(folder / f"good-{seed}.flac", tone(seed=seed))
    (folder / "folder.wav").mkdir()


def test_a_run_goes_on_past_all_of_them(tmp_path, forbid, caplog):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    make_all(corpus)
    build_pairs(recipe(corpus, fixed_cut=True), tmp_path / "run")
    records = {row["id"]: row for row in iterate_records(tmp_path / "run" / "prompts")}

    assert set(records) == {*USED, *NAMED, "caf\\xe9", "good-0", "good-1", "good-2"}
    for name in {*USED, "caf\\xe9", "good-0"}:
        record = records[name]
        assert record["skipped"] is None, name
        assert record["seconds"] == pytest.approx(SECONDS, abs=0.01)
        assert len(record["units"]) > 10
    for name in ("flac-called-wav", "stereo", "twenty-four-bits", "beyond-one", "caf\\xe9"):
        assert records[name]["units"] == records["good-0"]["units"], name
    for name, (_, suffix, reason, broken) in NAMED.items():
        record = records[name]
        assert reason in record["skipped"], name
        assert record["unreadable"] is broken, name
        assert record["units"] is None
        if broken:
            assert str(corpus / f"{name}.{suffix}") in record["skipped"]
            assert record["skipped"] in caplog.text
    assert "7 of 20 recordings are unreadable, 4 more unsuitable" in caplog.text
    continuations = list(iterate_records(tmp_path / "run" / "round-1" / "continuations"))
    assert {row["prompt_id"] for row in continuations} <= {*USED, "caf\\xe9", *records}
    assert continuations


def test_too_many_broken_recordings_stop_the_run_with_the_first_named(tmp_path, forbid):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    make_all(corpus)
    with pytest.raises(CorpusError, match=r"recordings cannot be read, more than .* = 0.1 allows"):
        build_pairs(recipe(corpus, max_failures=0.1), tmp_path / "run")


def test_without_permission_the_file_is_named_not_the_library_s_failure(tmp_path, forbid):
    no_permission(tmp_path / "mine.wav")
    with pytest.raises(orality.AudioError, match=r"mine\.wav cannot be read .* Permission denied"):
        orality.read_audio(tmp_path / "mine.wav")


def test_a_folder_or_a_pipe_is_no_recording(tmp_path):
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    for name in ("folder.wav", "pipe.wav"):
        with pytest.raises(orality.AudioError, match=f"{name} .* it is no regular file"):
            orality.read_audio(tmp_path / name)


@pytest.mark.parametrize(
    ("limit", "reason"),
    [({"max_seconds": 7.0}, "lasts 8 s, more than the 7 s"), ({"max_bytes": 1000}, "bytes, more")],
)
def test_the_limits_are_the_recipe_s(tmp_path, limit, reason):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    rows = []
    for seed in range(4):
        write(corpus / f"{seed}.wav", tone(seed=seed))
        rows.append({"id": str(seed), "audio": f"{seed}.wav", "split": "train"})
    # A slice is decoded alone, however long its file is.
    rows[0] |= {"offset": 0.5, "duration": 6.5}
    (corpus / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    build_pairs(recipe(corpus, **limit), tmp_path / "run")
    records = {row["id"]: row for row in iterate_records(tmp_path / "run" / "prompts")}
    assert records["0"]["skipped"] is None
    assert records["0"]["seconds"] == 6.5
    for name in "123":
        assert reason in records[name]["skipped"]
        assert not records[name]["unreadable"]

"""One set of recordings in every form a corpus may have: the prompts are the same."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from orality import Recipe, Units
from orality.run import build_pairs
from orality.store import iterate_records
from orality.testing.tones import whistle

RATE, SECONDS = 16_000, 7.0
NAMES = [f"u{number}" for number in range(6)]
WORDS = [["one", 0.25, 1.25], ["two", 1.25, 3.25], ["three", 3.25, 6.5]]
SPLITS = dict(zip(NAMES, ("train", "train", "train", "train", "dev", "test"), strict=True))


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FLAC files, and one recording that holds all of them one after the other."""
    folder = tmp_path_factory.mktemp("sounds")
    parts = []
    for seed, name in enumerate(NAMES):
        ids = np.random.default_rng(seed).integers(1, 19, 60)
        samples = whistle(Units(ids)).samples[: int(SECONDS * RATE)]
        soundfile.write(folder / f"{name}.flac", samples, RATE)
        parts.append(samples)
    soundfile.write(folder / "all.flac", np.concatenate(parts), RATE)
    return folder


def in_a_manifest(folder: Path, sounds: Path) -> Path:
    rows = [
        {"id": n, "audio": f"{sounds}/{n}.flac", "words": WORDS, "split": SPLITS[n]} for n in NAMES
    ]
    (folder / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "m.jsonl"


def as_slices(folder: Path, sounds: Path) -> Path:
    rows = [
        {
            "id": name, "audio_filepath": f"{sounds}/all.flac", "offset": SECONDS * number,
            "duration": SECONDS, "words": WORDS, "split": SPLITS[name],
        }
        for number, name in enumerate(NAMES)
    ]  # fmt: skip
    (folder / "m.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "m.json"


def as_cuts(folder: Path, sounds: Path) -> Path:
    lines = []
    for number, name in enumerate(NAMES):
        start = SECONDS * number
        words = [[word, start + begin, end - begin, None] for word, begin, end in WORDS]
        supervision = {
            "id": name, "recording_id": "all", "start": 0.0, "duration": SECONDS, "channel": 0,
            "text": "one two three", "alignment": {"word": words},
        }  # fmt: skip
        source = {"type": "file", "channels": [0], "source": f"{sounds}/all.flac"}
        recording = {"id": "all", "sources": [source], "sampling_rate": RATE}
        lines.append(json.dumps({
            "id": name, "start": start, "duration": SECONDS, "channel": 0, "recording": recording,
            "supervisions": [supervision], "custom": {"split": SPLITS[name]}, "type": "MonoCut",
        }))  # fmt: skip
    (folder / "cuts.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    return folder / "cuts.jsonl.gz"


def rows_of(sounds: Path, split: str | None = None) -> pa.Table:
    names = [name for name in NAMES if split in (None, SPLITS[name])]
    words = [{"word": word, "start": start, "end": end} for word, start, end in WORDS]
    return pa.table(
        {
            "audio": [
                {"bytes": (sounds / f"{name}.flac").read_bytes(), "path": f"{name}.flac"}
                for name in names
            ],
            "sentence": ["one two three"] * len(names),
            "words": [words] * len(names),
            "split": [SPLITS[name] for name in names],
        }
    )


def as_parquet(folder: Path, sounds: Path) -> Path:
    for split in ("train", "dev", "test"):
        pq.write_table(
            rows_of(sounds, split).drop_columns("split"),
            folder / f"{split}-00000-of-00001.parquet",
            row_group_size=2,
        )
    return folder


def as_saved(folder: Path, sounds: Path) -> Path:
    table = rows_of(sounds)
    with pa.ipc.new_stream(folder / "data-00000-of-00001.arrow", table.schema) as file:
        file.write_table(table)
    files = [{"filename": "data-00000-of-00001.arrow"}]
    (folder / "state.json").write_text(json.dumps({"_data_files": files}))
    return folder


def as_a_folder_with_times(folder: Path, sounds: Path) -> Path:
    """As LibriSpeech is laid out, its words in a CTM."""
    for name in NAMES:
        chapter = folder / f"{SPLITS[name]}-clean" / "1" / "2"
        chapter.mkdir(parents=True, exist_ok=True)
        (chapter / f"{name}.flac").write_bytes((sounds / f"{name}.flac").read_bytes())
        with (chapter / "1-2.trans.txt").open("a") as file:
            file.write(f"{name} ONE TWO THREE\n")
    lines = [f"{n} 1 {start} {end - start} {word}\n" for n in NAMES for word, start, end in WORDS]
    (folder / "words.ctm").write_text("".join(lines))
    return folder


@pytest.mark.parametrize(
    "form", [in_a_manifest, as_slices, as_cuts, as_parquet, as_saved, as_a_folder_with_times]
)
def test_every_form_gives_the_same_prompts(
    form: Callable[[Path, Path], Path], sounds: Path, tmp_path: Path
) -> None:
    (tmp_path / "corpus").mkdir()
    data: dict[str, Any] = Recipe.load("toy").model_dump()
    data["corpus"] = {"path": str(form(tmp_path / "corpus", sounds))}
    data["evaluation"]["prompts"] = 10
    build_pairs(Recipe.parse(data), tmp_path / "run")
    records = {row["id"]: row for row in iterate_records(tmp_path / "run" / "prompts")}
    assert {name: row["split"] for name, row in records.items()} == SPLITS
    for name, row in records.items():
        assert row["skipped"] is None
        assert (row["cut"], row["cut_source"], row["cut_approximate"]) == (3.25, "words", False)
        assert (row["prompt_text"].lower(), row["seconds"]) == ("one two", SECONDS)
        samples, _ = soundfile.read(sounds / f"{name}.flac", dtype="float32")
        prompt, _ = soundfile.read(tmp_path / "run" / row["prompt_audio"], dtype="float32")
        assert (prompt == samples[: int(3.25 * RATE)]).all()

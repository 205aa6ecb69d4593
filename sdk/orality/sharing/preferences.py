"""The preference set as parquet files that `datasets.load_dataset` reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from orality.errors import SharingError
from orality.sharing.source import SharedRun
from orality.store import iterate_records
from orality.weights import file_sha256

Record = dict[str, Any]
SPLITS = ("train", "dev")
SIDES = ("chosen", "rejected")
ROWS_IN_A_GROUP, BYTES_IN_A_FILE = 100, 400 * 2**20

_UNITS = pa.list_(pa.int64())
_SOUND = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_COLUMNS: dict[str, pa.DataType] = {
    "id": pa.string(),  # STAGE/PROMPT
    "round": pa.string(),
    "prompt_id": pa.string(),
    "language": pa.string(),
    "prompt": _UNITS,
    "chosen": _UNITS,
    "rejected": _UNITS,
    "prompt_text": pa.string(),
    "chosen_text": pa.string(),
    "rejected_text": pa.string(),
    "chosen_score": pa.float64(),
    "rejected_score": pa.float64(),
    "chosen_auto_bleu": pa.float64(),
    "rejected_auto_bleu": pa.float64(),
    "reference": pa.string(),
    "reference_chosen": pa.float64(),
    "reference_rejected": pa.float64(),
}
_AUDIO = ("prompt_audio", "chosen_audio", "rejected_audio")
_DTYPES = {pa.string(): "string", pa.float64(): "float64"}


@dataclass(frozen=True, slots=True)
class PreferenceSet:
    """What was written: rows and files by split, and some rows for the card."""

    rows: Mapping[str, int]
    files: Mapping[str, Sequence[str]]
    examples: Sequence[Record]
    audio: bool


def write_preferences(
    run: SharedRun, folder: Path, *, audio: bool, examples: int = 3
) -> PreferenceSet:
    """Write `data/SPLIT-00000-of-00001-DIGEST.parquet` into a folder; returns a PreferenceSet.

    The digest is of the file: `datasets` keeps what it has read of a local folder by the folder's
    own name and the names of its files, and would show the pairs of another push otherwise.
    Units are lists of int64, transcripts and scores None where there are none; with `audio`, each
    recording is a struct of its file's bytes and name, as the Audio feature of `datasets` wants.
    Raises SharingError for a recording that is missing or outside the run's folder.
    """
    schema = _schema(audio)
    files = {split: _Files(folder / "data", split, schema) for split in SPLITS}
    shown: list[Record] = []
    for stage in run.stages:
        for split, row in _rows(run, stage, audio):
            files[split].add(row)
            if len(shown) < examples and row["chosen_text"] is not None:
                shown.append({key: value for key, value in row.items() if key not in _AUDIO})
    names = {split: item.close() for split, item in files.items() if item.rows}
    rows = {split: files[split].rows for split in names}
    return PreferenceSet(rows=rows, files=names, examples=shown, audio=audio)


def _rows(run: SharedRun, stage: str, audio: bool) -> Iterator[tuple[str, Record]]:
    pairs = run.path / stage / "pairs"
    wanted = {
        row[f"{side}_id"]
        for row in iterate_records(pairs, ["chosen_id", "rejected_id"])
        for side in SIDES
    }
    # A baseline selects from what the first round drew.
    drawn = run.path / (stage if (run.path / stage / "continuations").is_dir() else "round-1")
    texts = _by_id(drawn / "transcripts", "text", wanted)
    sounds = _by_id(drawn / "speech", "audio", wanted) if audio else {}
    prompts = {
        row["id"]: row
        for row in iterate_records(
            run.path / "prompts", ["id", "language", "prompt_text", "prompt_audio"]
        )
    }
    for pair in iterate_records(pairs):
        prompt = prompts.get(pair["prompt_id"], {})
        row = {
            "id": f"{stage}/{pair['id']}",
            "round": stage,
            "language": prompt.get("language"),
            "prompt_text": prompt.get("prompt_text"),
            "prompt": pair["prompt_units"],
        }
        for side in SIDES:
            row[side] = pair[f"{side}_units"]
            row[f"{side}_text"] = texts.get(pair[f"{side}_id"])
            if audio:
                row[f"{side}_audio"] = _sound(run.path, sounds.get(pair[f"{side}_id"]))
        if audio:
            row["prompt_audio"] = _sound(run.path, prompt.get("prompt_audio"))
        yield pair["split"], {name: pair.get(name) for name in _COLUMNS if name in pair} | row


def _by_id(folder: Path, column: str, wanted: set[str]) -> dict[str, Any]:
    return {
        row["id"]: row[column]
        for row in iterate_records(folder, ["id", column])
        if row["id"] in wanted
    }


def _sound(run: Path, name: str | None) -> Record | None:
    if name is None:
        return None
    path = run / name
    if Path(name).is_absolute() or not path.resolve().is_relative_to(run.resolve()):
        raise SharingError(f"the recording {name} lies outside the run; it is not shared")
    try:
        return {"bytes": path.read_bytes(), "path": path.name}
    except OSError as error:
        raise SharingError(f"the recording {path} cannot be read: {error}") from error


class _Files:
    """One split, in row groups of bounded size and files of bounded size."""

    def __init__(self, folder: Path, split: str, schema: pa.Schema) -> None:
        self.rows = 0
        self._folder, self._split, self._schema = folder, split, schema
        self._paths, self._waiting = list[Path](), list[Record]()
        self._writer: Any = None
        self._sink: Any = None

    def add(self, row: Record) -> None:
        self.rows += 1
        self._waiting.append(row)
        if len(self._waiting) >= ROWS_IN_A_GROUP:
            self._write()

    def close(self) -> list[str]:
        if self._waiting:
            self._write()
        self._end()
        names = []
        for number, path in enumerate(self._paths):
            digest = file_sha256(path)[:16]
            name = f"{self._split}-{number:05d}-of-{len(self._paths):05d}-{digest}.parquet"
            path.rename(path.with_name(name))
            names.append(f"{self._folder.name}/{name}")
        return names

    def _write(self) -> None:
        if self._writer is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._paths.append(self._folder / f"{self._split}-{len(self._paths)}.partial")
            self._sink = self._paths[-1].open("wb")
            self._writer = pq.ParquetWriter(self._sink, self._schema, compression="zstd")
        self._writer.write_table(pa.Table.from_pylist(self._waiting, schema=self._schema))
        self._waiting.clear()
        if self._sink.tell() >= BYTES_IN_A_FILE:
            self._end()

    def _end(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._sink.close()
            self._writer = None


def _schema(audio: bool) -> pa.Schema:
    """With what `datasets` reads its features from; Audio comes as bytes until it is asked for."""
    fields = list(_COLUMNS.items())
    features: dict[str, Any] = {
        name: {"dtype": _DTYPES[kind], "_type": "Value"}
        if kind in _DTYPES
        else {"feature": {"dtype": "int64", "_type": "Value"}, "_type": "Sequence"}
        for name, kind in fields
    }
    if audio:
        fields += [(name, _SOUND) for name in _AUDIO]
        features |= {name: {"decode": False, "_type": "Audio"} for name in _AUDIO}
    known = json.dumps({"info": {"features": features}})
    return pa.schema(fields).with_metadata({"huggingface": known})

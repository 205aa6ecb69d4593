"""Hugging Face datasets: folders that `save_to_disk` wrote, folders of Parquet files, the hub.

Everything is read with pyarrow; the package `datasets` is needed for names on the hub alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import pyarrow as pa

from orality.corpus.readers import tables
from orality.corpus.recording import TableCell
from orality.corpus.sources import NO_COLUMNS, Entry, Row, split_named
from orality.errors import CorpusError
from orality.types import Word
from orality.untrusted import documents

_ROW_BITS = 40  # of a place that is a file's number and a row in it
USUAL: Mapping[str, tuple[str, ...]] = {
    "audio": ("audio", "speech", "wav", "flac", "mp3", "ogg", "opus", "audio_path", "file"),
    "text": ("text", "transcript", "transcription", "sentence", "normalized_text",
             "raw_transcription", "txt"),
    "id": ("id", "utterance_id", "utt_id", "segment_id", "audio_id", "__key__", "key"),
    "language": ("language", "lang", "locale"),
    "split": ("split",),
    "words": ("words", "word_timestamps", "alignment"),
}  # fmt: skip


class Tables:
    """Rows of Arrow or Parquet files, each file with the split that it is (None: not known).

    `columns`: which column is `audio`, `text`, `id`, `language`, `split` and `words`; else those of
    `USUAL` names. Audio is a struct of `bytes` and `path` as `Audio` stores it, bytes, or a path.
    Without ids, the name of the inner path is one, else row number and split, or the file's path
    where a split has several. Raises CorpusError
    when there is no column of audio.
    """

    def __init__(
        self, files: Sequence[tuple[Path, str | None]], columns: Mapping[str, str] = NO_COLUMNS
    ) -> None:
        self.alignments: Path | None = None
        self._files = [(str(path), split) for path, split in files]
        self._labels = _labels(self._files)
        self._columns = columns
        self._known: dict[str, dict[str, str]] = {}

    def entries(self) -> Iterator[Entry]:
        """Every row of every file."""
        for number, (path, split) in enumerate(self._files):
            known = self._find(path)
            inner = _inner_path(tables.schema(path), known["audio"])
            wanted = [known[key] for key in ("id", "split") if key in known]
            wanted += [] if inner is None or "id" in known else [inner]
            rows = (
                tables.scan(path, wanted) if wanted else ({} for _ in range(tables.num_rows(path)))
            )
            for row, cells in enumerate(rows):
                name = cells.get(known.get("id", ""))
                if name is None and inner is not None and cells.get(inner):
                    name = PurePath(cells[inner]).stem
                told = cells.get(known.get("split", ""))
                place = number << _ROW_BITS | row
                yield Entry(
                    f"{self._labels[number]}-{row:08d}" if name is None else str(name),
                    place,
                    split if told is None else split_named(str(told)),
                    f"{path}, row {row}",
                    os.fsencode(cells.get(inner or "") or ""),
                )

    def row(self, place: int) -> Row:
        """One row; its audio is read later."""
        path, _ = self._files[place >> _ROW_BITS]
        row = place & (1 << _ROW_BITS) - 1
        known = self._find(path)
        inner = _inner_path(tables.schema(path), known["audio"])
        wanted = {key: known[key] for key in ("text", "language", "words") if key in known}
        names = [*wanted.values(), *([] if inner is None else [inner])]
        cells = tables.cells(path, row, names)
        found = {key: cells[name] for key, name in wanted.items()}
        language = found.get("language")
        return Row(
            TableCell(path, row, known["audio"], cells.get(inner or "") or ""),
            text=None if found.get("text") is None else str(found["text"]),
            words=_words(found.get("words"), f"{path}, row {row}"),
            language=language if isinstance(language, str) and language else None,
        )

    def _find(self, path: str) -> dict[str, str]:
        """Our names for columns, and those that the file has."""
        if path not in self._known:
            self._known[path] = _find_columns(tables.schema(path), self._columns, path)
        return self._known[path]


def _labels(files: Sequence[tuple[str, str | None]]) -> list[str]:
    """What rows without ids are called after, another for each file."""
    splits = [split for _, split in files]
    paths = [PurePath(os.path.abspath(path)) for path, _ in files]
    top = PurePath(os.path.commonpath([path.parent for path in paths])) if paths else PurePath()
    return [
        split
        if split is not None and splits.count(split) == 1
        else "-".join(path.relative_to(top).with_suffix("").parts)
        for path, split in zip(paths, splits, strict=True)
    ]


def _find_columns(schema: pa.Schema, asked: Mapping[str, str], path: str) -> dict[str, str]:
    missing = sorted(set(asked.values()) - set(schema.names))
    if missing:
        raise CorpusError(f"{path} has no column {missing[0]!r}; it has {', '.join(schema.names)}")
    known = dict(asked)
    for key, names in USUAL.items():
        if key in known:
            continue
        found = [name for name in names if name in schema.names]
        if key == "audio":
            structs = [field.name for field in schema if _is_audio(field.type)]
            found = [name for name in found if name in structs] or structs or found
        if found:
            known[key] = found[0]
    if "audio" not in known:
        raise CorpusError(
            f"{path} has no column of audio; name it as corpus.columns.audio; it has "
            f"{', '.join(schema.names)}"
        )
    return known


def _is_audio(kind: pa.DataType) -> bool:
    """Whether a column is stored as `datasets.Audio` stores it."""
    if not pa.types.is_struct(kind):
        return False
    return {"bytes", "path"} <= {kind.field(index).name for index in range(kind.num_fields)}


def _inner_path(schema: pa.Schema, audio: str) -> str | None:
    kind = schema.field(audio).type
    if _is_audio(kind):
        return f"{audio}.path"
    return audio if pa.types.is_string(kind) or pa.types.is_large_string(kind) else None


def _words(value: Any, where: str) -> tuple[Word, ...]:
    """A list of structs (`word` or `text`, `start`, `end`) or of triples."""
    if not isinstance(value, list):
        return ()
    words = []
    try:
        for item in value:
            if isinstance(item, dict):
                text = next(item[key] for key in ("word", "text", "symbol") if key in item)
                item = (text, item["start"], item["end"])
            words.append(Word(str(item[0]), float(item[1]), float(item[2])))
    except (KeyError, IndexError, StopIteration, TypeError, ValueError) as error:
        raise CorpusError(f"{where}: words must be [word, start, end] or such structs") from error
    return tuple(word for word in words if word.text.strip())


def tables_of(folder: Path) -> list[tuple[Path, str | None]]:
    """The files of a dataset on disk with their splits; empty when the folder is no dataset.

    Known are `save_to_disk` of a Dataset (`state.json`) or of a DatasetDict (`dataset_dict.json`),
    and Parquet files at any depth, whose paths may tell the split. Raises CorpusError when files
    that a dataset names are missing.
    """
    if (folder / "dataset_dict.json").is_file():
        names = _listed(folder / "dataset_dict.json", "splits")
        return [
            (path, split_named(name) or told)
            for name in names
            for path, told in _saved(folder / _plain(name, folder))
        ]
    if (folder / "state.json").is_file():
        return _saved(folder)
    return [
        (path, split_named(str(path.relative_to(folder))))
        for path in sorted(folder.rglob("*.parquet"))
        if path.is_file() and not path.name.startswith("._")
    ]


def _saved(folder: Path) -> list[tuple[Path, str | None]]:
    state = folder / "state.json"
    content = _json(state)
    if content.get("_indices_data_files"):
        raise CorpusError(
            f"{folder} was saved with a selection of rows; call flatten_indices first"
        )
    files = [folder / _plain(item["filename"], state) for item in _listed(state, "_data_files")]
    missing = [path for path in files if not path.is_file()]
    if missing:
        raise CorpusError(f"{folder} is no whole dataset: {missing[0].name} is missing")
    split = content.get("_split")
    return [(path, None if split is None else split_named(str(split))) for path in files]


def _listed(path: Path, key: str) -> list[Any]:
    found = _json(path).get(key)
    if not isinstance(found, list):
        raise CorpusError(f"{path} is no dataset's: it has no list {key!r}")
    return found


def _plain(name: Any, where: Path) -> str:
    if not isinstance(name, str) or Path(name).name != name:
        raise CorpusError(f"{where} names the file {name!r}; wanted one in its own folder")
    return name


def _json(path: Path) -> dict[str, Any]:
    content = documents.read_json(path, CorpusError)
    if not isinstance(content, dict):
        raise CorpusError(f"{path} holds no object")
    return content

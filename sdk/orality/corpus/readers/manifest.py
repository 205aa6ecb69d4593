"""Manifests: JSON lines, or CSV with a header (`,`, `;`, `|` or tabs between the fields); NeMo's
manifests are JSON lines too."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from orality.corpus.names.names import refuse_utf16
from orality.corpus.readers.lines import Lines
from orality.corpus.recording import FileSlice, Recording, Unreadable
from orality.corpus.sources import NO_COLUMNS, Entry, Row
from orality.errors import CorpusError
from orality.types import Word
from orality.untrusted import documents

TABLE_SUFFIXES = (".csv", ".tsv")
USUAL: Mapping[str, tuple[str, ...]] = {"audio": ("audio", "audio_filepath")}
_LONGEST = 1e8  # seconds, three years: more is not a time in a recording
KEYS = ("audio", "id", "text", "words", "split", "language", "offset", "duration")


class Manifest:
    """Rows with `audio`, a path relative to the manifest, that may hold the other `KEYS`.

    `words`: [[word, start, end], ...] in seconds. `offset` and `duration`: the part of the file
    that is meant, in seconds; `duration` alone says how long the file is. `columns`: other names
    that the keys have in this manifest; `audio`: the folder of the recordings, if not its own.
    """

    def __init__(
        self,
        path: Path,
        columns: Mapping[str, str] = NO_COLUMNS,
        lines: Lines | None = None,
        *,
        audio: Path | None = None,
    ) -> None:
        self.alignments: Path | None = None
        self._path, self._folder = path, audio or path.parent
        self._names = {key: (columns[key],) if key in columns else USUAL.get(key, (key,))
                       for key in KEYS}  # fmt: skip
        if path.suffix.lower() in TABLE_SUFFIXES:
            self._rows: _CsvRows | _JsonRows = _CsvRows(path)
        else:
            self._rows = _JsonRows(lines or Lines(path))

    def entries(self) -> Iterator[Entry]:
        """Every row, checked; without an id it is called as its file."""
        for place, where, content in self._rows.all():
            row = self._known(content, where)
            self._row(row, where)
            name = row.get("id")
            if name is None:
                name = Path(row["audio"]).stem
                name += f"-{float(row['offset']):.3f}" if row.get("offset") is not None else ""
            path = os.fsencode(self._folder / row["audio"])
            yield Entry(str(name), place, row.get("split"), where, path)

    def row(self, place: int) -> Row:
        """The row that begins at a byte of the manifest."""
        where = f"{self._path}, byte {place}"
        return self._row(self._known(self._rows.at(place), where), where)

    def _known(self, content: Any, where: str) -> dict[str, Any]:
        """The row by our own keys."""
        row: dict[str, Any] = {}
        if isinstance(content, dict):
            for key, names in self._names.items():
                value = next((content[n] for n in names if content.get(n) is not None), None)
                row |= {} if value is None else {key: value}
        if not isinstance(row.get("audio"), str):
            wanted = " or ".join(repr(name) for name in self._names["audio"])
            raise CorpusError(f"{where} must have a value for the key {wanted}, a path")
        return row

    def _row(self, row: dict[str, Any], where: str) -> Row:
        try:
            words = tuple(Word(str(w), float(a), float(b)) for w, a, b in row.get("words") or ())
        except (TypeError, ValueError) as error:
            raise CorpusError(f"{where}: words must be [word, start, end] triples") from error
        start, seconds = 0.0, None
        if row.get("offset") is not None:
            try:
                start, seconds = float(row["offset"]), float(row["duration"])
            except (KeyError, TypeError, ValueError) as error:
                raise CorpusError(f"{where}: offset and duration must both be seconds") from error
        text, language = row.get("text"), row.get("language")
        recording: Recording = FileSlice(os.fsencode(self._folder / row["audio"]), start, seconds)
        if not (0 <= start < _LONGEST and (seconds is None or 0 < seconds < _LONGEST)):
            reason = f"{where}: {seconds:g} s from {start:g} s on are not part of a recording"
            recording = Unreadable(recording.name, reason, recording.stem)
        return Row(
            recording,
            text=None if text is None else str(text),
            words=words,
            language=None if language is None else str(language),
        )


class _JsonRows:
    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def all(self) -> Iterator[tuple[int, str, Any]]:
        """Byte, where that is, and content of every line that is not empty."""
        for place, where, line in self._lines:
            yield place, where, _parsed(line, where)

    def at(self, place: int) -> Any:
        """The line that begins at a byte."""
        return _parsed(self._lines.at(place), f"{self._lines.path}, byte {place}")


class _CsvRows:
    """Fields may hold line breaks, so a row is told by its first byte, not by its number."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._header: list[str] = []
        self._form: dict[str, Any] = {}

    def all(self) -> Iterator[tuple[int, str, dict[str, Any]]]:
        """Byte, where that is, and fields of every row; the first is the header."""
        number = 0
        try:
            with self._path.open("rb") as file:
                refuse_utf16(file.read(2), self._path)
                file.seek(0)
                self._form = _form(file.readline())
                file.seek(0)
                lines = _Counted(file)
                table = csv.reader(lines, strict=True, **self._form)
                self._header = [name.strip() for name in next(table, [])]
                while True:
                    place = lines.place
                    number = table.line_num + 1
                    fields = next(table, None)
                    if fields is None:
                        return
                    where = f"{self._path}, line {table.line_num}"
                    if fields:
                        yield place, where, self._row(fields, where)
        except (csv.Error, UnicodeDecodeError) as error:
            raise CorpusError(f"{self._path}, line {number}: {error}") from error
        except OSError as error:
            raise CorpusError(f"manifest {self._path} cannot be read: {error}") from error

    def at(self, place: int) -> dict[str, Any]:
        """The row that begins at a byte; the header must have been read."""
        with self._path.open("rb") as file:
            file.seek(place)
            fields = next(csv.reader(_Counted(file), strict=True, **self._form))
        return self._row(fields, f"{self._path}, byte {place}")

    def _row(self, fields: list[str], where: str) -> dict[str, Any]:
        if len(fields) > len(self._header):
            raise CorpusError(f"{where} must have no more fields than the header's {self._header}")
        row: dict[str, Any] = {
            key: value.strip()
            for key, value in zip(self._header, fields, strict=False)
            if key and value.strip()
        }
        if "words" in row:
            row["words"] = _parsed(row["words"].encode(), where)
        return row


def _form(header: bytes) -> dict[str, Any]:
    """How the rows are written, as the header shows: what separates fields, and whether spaces
    follow it."""
    bare = re.sub(rb'"[^"]*"', b"", header)
    separator = max(b",;\t|", key=lambda mark: bare.count(bytes([mark])))
    if separator == ord("\t"):
        return {"delimiter": "\t", "quoting": csv.QUOTE_NONE}  # as Common Voice writes them
    return {"delimiter": chr(separator), "skipinitialspace": True}


class _Counted:
    """The lines of a file as text, and the byte at which the next one begins."""

    def __init__(self, file: BinaryIO) -> None:
        self._lines = iter(file)
        self.place = file.tell()

    def __iter__(self) -> _Counted:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        text = line.decode("utf-8-sig" if self.place == 0 else "utf-8")
        self.place += len(line)
        return text


def _parsed(line: bytes, where: str) -> Any:
    return documents.load_json(line, where, CorpusError)

"""The pair every likelihood benchmark is made of, and the generic `pairs.csv` layout."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orality.errors import EvaluationError

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg")


@dataclass(frozen=True, slots=True)
class BenchmarkPair:
    """Two recordings of which a model should find `positive` more likely.

    `group`: what accuracies are also reported by (a frequency band, a phenomenon), or None.
    `cluster`: pairs that are not independent share it (the voices of one word); statistics
    treat a cluster as one observation.
    """

    id: str
    positive: Path
    negative: Path
    group: str | None
    cluster: str


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a CSV file, which remembers where it stood so that errors can say so."""

    file: Path
    line: int
    values: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.values.get(column, "")

    def error(self, message: str) -> EvaluationError:
        """An error that names the file and the line."""
        return EvaluationError(f"{self.file}, line {self.line}: {message}")


def read_rows(path: Path, required: Sequence[str]) -> Iterator[Row]:
    """The rows of a CSV file with a header; CRLF and a byte order mark are accepted.

    Raises EvaluationError when the file is missing, not text, empty, or lacks a required column
    or a value in one.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            columns = [(name or "").strip() for name in reader.fieldnames or ()]
            missing = [name for name in required if name not in columns]
            if missing:
                raise EvaluationError(
                    f"{path}, line 1: the columns {', '.join(missing)} are missing; "
                    f"got {', '.join(columns) or 'an empty file'}"
                )
            reader.fieldnames = columns
            count = 0
            for record in reader:
                count += 1
                values = {k: (v or "").strip() for k, v in record.items() if isinstance(k, str)}
                row = Row(path, reader.line_num, values)
                if None in record:
                    raise row.error(f"more values than the {len(columns)} columns of the header")
                empty = [name for name in required if not values[name]]
                if empty:
                    raise row.error(f"no value for {', '.join(empty)}")
                yield row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise EvaluationError(f"{path} cannot be read: {error}") from error
    if count == 0:
        raise EvaluationError(f"{path} holds a header and no rows")


def audio_index(folder: Path) -> dict[str, Path]:
    """A folder's recordings by stem; .wav goes before .flac before .ogg of the same stem."""
    found: dict[str, Path] = {}
    if not folder.is_dir():
        raise EvaluationError(f"{folder} is not a folder")
    for suffix in reversed(AUDIO_SUFFIXES):
        for path in folder.iterdir():
            if path.suffix.lower() == suffix and not path.name.startswith("."):
                found[path.stem] = path
    return found


def find_audio(index: Mapping[str, Path], name: str, row: Row) -> Path:
    """The recording called `name`, written with or without a suffix (of whatever format)."""
    stem = name[: -len(Path(name).suffix)] if name.lower().endswith(AUDIO_SUFFIXES) else name
    if stem not in index:
        raise row.error(f"there is no recording {stem!r} with suffix {', '.join(AUDIO_SUFFIXES)}")
    return index[stem]


def read_pairs(folder: Path) -> list[BenchmarkPair]:
    """Read `pairs.csv`: columns id, pos, neg and, optionally, group and cluster.

    `pos` and `neg` are paths relative to the folder. Without a cluster every pair is its own.
    """
    path = folder / "pairs.csv"
    seen: dict[str, int] = {}
    pairs = []
    for row in read_rows(path, ("id", "pos", "neg")):
        if row["id"] in seen:
            raise row.error(f"the id {row['id']!r} was used before, in line {seen[row['id']]}")
        seen[row["id"]] = row.line
        pairs.append(
            BenchmarkPair(
                id=row["id"],
                positive=_inside(folder, row, "pos"),
                negative=_inside(folder, row, "neg"),
                group=row["group"] or None,
                cluster=row["cluster"] or row["id"],
            )
        )
    return pairs


def _inside(folder: Path, row: Row, column: str) -> Path:
    path = folder / row[column]
    if not path.resolve().is_relative_to(folder.resolve()):
        raise row.error(f"{column} {row[column]!r} lies outside the benchmark's folder")
    if not path.is_file():
        raise row.error(f"there is no recording {row[column]!r}")
    return path

"""Single cells of Arrow and Parquet files, without the tables ever being in memory as a whole.

Arrow files are mapped into memory. Parquet is compressed: a row group's small columns are kept for
its neighbors, its audio is streamed, so that rows asked for in the order of the file are read once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from orality.errors import AudioError, CorpusError

SUFFIXES = frozenset({".arrow", ".parquet"})
_ROWS_AT_A_TIME = 8  # of audio; a row may have megabytes
_MOST_UNPACKED, _MOST_TIMES = 64 << 20, 50  # bytes; how many times as large
_lock = Lock()


def schema(path: str) -> pa.Schema:
    """The columns of a file."""
    return _parquet(path).schema_arrow if _is_parquet(path) else _arrow(path).schema


def num_rows(path: str) -> int:
    """How many rows a file has."""
    return int(_parquet(path).metadata.num_rows if _is_parquet(path) else _arrow(path).num_rows)


def scan(path: str, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows of a file in order, only the columns asked for; `audio.path` is a part of a struct.

    Raises CorpusError when the file cannot be read.
    """
    try:
        if _is_parquet(path):
            for group in range(_parquet(path).metadata.num_row_groups):
                for column in columns:
                    _refuse_bombs(path, group, column.split(".")[0])
            batches = _parquet(path).iter_batches(4096, columns=list(columns), use_threads=False)
        else:
            table = _arrow(path)
            parts = [_column(table, name) for name in columns]
            batches = iter(pa.table(parts, names=list(columns)).to_batches(4096))
        for batch in batches:
            yield from (_flat(row) for row in batch.to_pylist())
    except (OSError, pa.ArrowException) as error:
        raise CorpusError(f"{path} cannot be read: {error}") from error


def cells(path: str, row: int, columns: Sequence[str]) -> dict[str, Any]:
    """Small cells of one row, parts of structs too. Raises CorpusError when they cannot be read."""
    try:
        if _is_parquet(path):
            group, index = _place(path, row)
            table = _small_columns(path, group, tuple(columns))
        else:
            table, index = _arrow(path), row
        return {name: _cell(table, name, index) for name in columns}
    except (OSError, pa.ArrowException) as error:
        raise CorpusError(f"{path} cannot be read: {error}") from error


def audio(path: str, column: str, row: int) -> tuple[bytes | None, str | None]:
    """Bytes and path of an audio cell, either of which may be missing. Raises AudioError."""
    try:
        if _is_parquet(path):
            with _lock:
                value = _stream(path, column).row(row)
        else:
            value = _arrow(path)[column][row].as_py()
    except (OSError, pa.ArrowException, CorpusError) as error:
        raise AudioError(f"{path}, row {row}, cannot be read: {error}") from error
    if isinstance(value, dict):
        return value.get("bytes"), value.get("path")
    return (value, None) if isinstance(value, bytes) else (None, value)


class _AudioStream:
    """One column of a Parquet file, read forward; going back begins a row group anew."""

    def __init__(self, path: str, column: str) -> None:
        self._path, self._column = path, column
        self._rows: Iterator[Any] = iter(())
        self._next, self._last = (-1, 0), None

    def row(self, row: int) -> Any:
        group, index = _place(self._path, row)
        if (group, index + 1) == self._next:
            return self._last
        if self._next[0] != group or self._next[1] > index:
            self._rows, self._next = self._group(group), (group, 0)
        for _ in range(self._next[1], index + 1):
            self._last = next(self._rows)
        self._next = (group, index + 1)
        return self._last

    def _group(self, group: int) -> Iterator[Any]:
        _refuse_bombs(self._path, group, self._column)
        batches = _parquet(self._path).iter_batches(
            _ROWS_AT_A_TIME, row_groups=[group], columns=[self._column], use_threads=False
        )
        for batch in batches:
            for cell in batch.column(0):
                yield cell.as_py()


def _refuse_bombs(path: str, group: int, column: str | None = None) -> None:
    """CorpusError for columns of a row group that unpack to a multiple of what sound or text do."""
    row_group = _parquet(path).metadata.row_group(group)
    for number in range(row_group.num_columns):
        chunk = row_group.column(number)
        if column is not None and chunk.path_in_schema.split(".")[0] != column:
            continue
        packed, unpacked = chunk.total_compressed_size, chunk.total_uncompressed_size
        if unpacked > _MOST_UNPACKED and unpacked > _MOST_TIMES * packed:
            raise CorpusError(
                f"{path} has {packed:,} bytes in the column {chunk.path_in_schema} that unpack to "
                f"{unpacked:,}: more than {_MOST_TIMES} times as many; not unpacked"
            )


@lru_cache(maxsize=4)
def _stream(path: str, column: str) -> _AudioStream:
    return _AudioStream(path, column)


@lru_cache(maxsize=16)
def _small_columns(path: str, group: int, columns: tuple[str, ...]) -> pa.Table:
    for column in columns:
        _refuse_bombs(path, group, column.split(".")[0])
    return _parquet(path).read_row_group(group, columns=list(columns), use_threads=False)


@lru_cache(maxsize=32)
def _parquet(path: str) -> pq.ParquetFile:
    try:
        # Buffered: a column chunk of audio is read piece by piece, never as a whole.
        return pq.ParquetFile(path, buffer_size=2**20, pre_buffer=False)
    except (OSError, pa.ArrowException) as error:
        raise CorpusError(f"{path} cannot be read as Parquet: {error}") from error


@lru_cache(maxsize=1024)
def _arrow(path: str) -> pa.Table:
    """A view of the file: nothing is copied. Both of Arrow's formats are known."""
    try:
        source = pa.memory_map(path)
        is_file = source.read(6) == b"ARROW1"
        source.seek(0)
        table = (pa.ipc.open_file if is_file else pa.ipc.open_stream)(source).read_all()
        table.validate(full=True)  # offsets that lie would read other memory
        return table
    except (OSError, pa.ArrowException, ValueError) as error:
        raise CorpusError(f"{path} cannot be read as Arrow: {error}") from error


@lru_cache(maxsize=64)
def _group_ends(path: str) -> list[int]:
    metadata, ends, total = _parquet(path).metadata, [], 0
    for group in range(metadata.num_row_groups):
        total += metadata.row_group(group).num_rows
        ends.append(total)
    return ends


def _place(path: str, row: int) -> tuple[int, int]:
    """Row group and index in it."""
    ends = _group_ends(path)
    group = bisect_right(ends, row)
    return group, row - (ends[group - 1] if group else 0)


def _cell(table: pa.Table, name: str, row: int) -> Any:
    column, _, field = name.partition(".")
    if name in table.column_names or not field:
        return table[name][row].as_py()
    cell = table[column][row]  # a view: the struct's other fields are left alone
    return cell[field].as_py() if cell.is_valid else None


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    column, _, field = name.partition(".")
    if name in table.column_names or not field:
        return table[name]
    return pc.struct_field(table[column], field)


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """Parquet gives parts of structs as structs, a table as columns of their own."""
    flat = dict(row)
    for name, value in row.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{key}": part for key, part in value.items()}
    return flat


def _is_parquet(path: str) -> bool:
    return Path(path).suffix == ".parquet"

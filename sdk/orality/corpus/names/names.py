"""Millions of names and where each is: sixteen bytes a name, the rest stays in the files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from orality.errors import CorpusError

_PAIR = np.dtype([("hash", "<u8"), ("value", "<i8")])
_OFFSET_BITS = 40  # of a value that is a file's number and an offset in it


class NameIndex:
    """Names to whole numbers, in the order given.

    Names are kept as hashes: a lookup may, if rarely, also give another name's number.
    """

    def __init__(self, pairs: Iterable[tuple[str, int]]) -> None:
        found = np.fromiter(((_hash(name), value) for name, value in pairs), dtype=_PAIR)
        self._pairs = found[np.argsort(found["hash"], kind="stable")]

    def __getitem__(self, name: str) -> list[int]:
        hashes = self._pairs["hash"]
        wanted = np.uint64(_hash(name))
        first, last = (np.searchsorted(hashes, wanted, side=side) for side in ("left", "right"))
        return [int(value) for value in self._pairs["value"][first:last]]


class LineIndex:
    """Text files whose lines begin with an utterance's name, read line by line when asked."""

    def __init__(self, files: Sequence[Path], *, comment: str | None = None) -> None:
        self._files = list(files)
        self._comment = None if comment is None else comment.encode()
        self._index = NameIndex(self._runs())

    def lines(self, name: str) -> Iterator[tuple[str, str]]:
        """(where it stands, the line) of every line of that name, in order."""
        return ((where, line) for _, where, line in self.located(name))

    def located(self, name: str) -> Iterator[tuple[Path, str, str]]:
        """The same with the file that it is in."""
        for value in self._index[name]:
            path, offset = self._files[value >> _OFFSET_BITS], value & (1 << _OFFSET_BITS) - 1
            with _opened(path) as file:
                file.seek(offset)
                number = None
                for line in file:
                    if self._name(line) != name:
                        break
                    number = _line_number(path, offset) if number is None else number + 1
                    yield path, f"{path}, line {number}", _decoded(line, path, number)

    def _runs(self) -> Iterator[tuple[str, int]]:
        """The first of neighboring lines of one name."""
        for number, path in enumerate(self._files):
            offset, before = 0, None
            with _opened(path) as file:
                for line in file:
                    name = self._name(line)
                    if name is not None and name != before:
                        yield name, number << _OFFSET_BITS | offset
                    before = name
                    offset += len(line)

    def _name(self, line: bytes) -> str | None:
        fields = line.removeprefix(b"\xef\xbb\xbf").split(maxsplit=1)
        if not fields or (self._comment is not None and fields[0].startswith(self._comment)):
            return None
        return fields[0].decode("utf-8", "backslashreplace")


def _hash(name: str) -> int:
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _line_number(path: Path, offset: int) -> int:
    with _opened(path) as file:
        return file.read(offset).count(b"\n") + 1


def _decoded(line: bytes, path: Path, number: int) -> str:
    try:
        return line.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}, line {number}: {error}") from error


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            refuse_utf16(file.read(2), path)
            file.seek(0)
            yield file
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error}") from error


def refuse_utf16(head: bytes, path: Path) -> None:
    """CorpusError for a list that begins as UTF-16 does: its lines cannot be told apart."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise CorpusError(f"{path} is UTF-16; wanted UTF-8: save it again as that")

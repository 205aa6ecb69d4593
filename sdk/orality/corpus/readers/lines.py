"""Lines of a file that may be gzipped, each found again by the byte at which it begins."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from orality.corpus.names.names import refuse_utf16
from orality.errors import CorpusError


class Lines:
    """Iterating gives (byte, where that is, line) of every line that is not empty.

    A gzipped file cannot be read from its middle: it is unpacked into a temporary file that nobody
    else sees and that is gone with this object. Raises CorpusError for what cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file: BinaryIO = _unpacked(path) if path.suffix == ".gz" else path.open("rb")
            refuse_utf16(os.pread(self._file.fileno(), 2, 0), path)
        except (OSError, EOFError, zlib.error) as error:
            raise CorpusError(f"{path} cannot be read: {error}") from error

    def __iter__(self) -> Iterator[tuple[int, str, bytes]]:
        # Another handle of the same file, so that `at` does not disturb.
        place = 0
        with os.fdopen(os.dup(self._file.fileno()), "rb") as file:
            file.seek(0)
            for number, line in enumerate(file, start=1):
                text = line.removeprefix(b"\xef\xbb\xbf") if place == 0 else line
                if text.strip():
                    yield place, f"{self.path}, line {number}", text
                place += len(line)

    def at(self, place: int) -> bytes:
        """The line that begins at a byte."""
        parts: list[bytes] = []
        # Reads at a place leave a file's position alone, so that forked processes may share it.
        while not parts or (parts[-1] and b"\n" not in parts[-1]):
            parts.append(os.pread(self._file.fileno(), 1 << 14, place + (len(parts) << 14)))
        return (
            b"".join(parts).split(b"\n", 1)[0].removeprefix(b"\xef\xbb\xbf" if place == 0 else b"")
        )


def _unpacked(path: Path) -> BinaryIO:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it stays open
    with gzip.open(path, "rb") as packed:
        shutil.copyfileobj(packed, file, 1 << 20)
    file.flush()
    return file

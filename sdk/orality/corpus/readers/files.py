"""Every file below a folder, as names that cost little more than their letters."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

logger = logging.getLogger(__name__)


class Names:
    """Many paths relative to one folder, as bytes, since a name need not be valid text."""

    def __init__(self, folder: Path, names: Iterator[bytes]) -> None:
        self._folder = os.fsencode(folder)
        chunks, part = [], []
        for name in names:
            part.append(name)
            if len(part) == 1 << 16:
                chunks.append(pa.array(part, pa.large_binary()))
                part = []
        chunks.append(pa.array(part, pa.large_binary()))
        self._names = pa.concat_arrays(chunks)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> bytes:
        return bytes(self._names[index].as_py())

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self._names), 1 << 12):
            yield from self._names.slice(start, 1 << 12).to_pylist()

    def path(self, index: int) -> bytes:
        """With the folder."""
        return os.path.join(self._folder, self[index])


def files_below(folder: Path) -> Iterator[bytes]:
    """Paths of regular files relative to `folder`, in a fixed order; links to folders are followed,
    each folder is visited once. What macOS leaves behind (`._NAME`, `__MACOSX`) is passed over; a
    folder that may not be read is named in the log."""
    seen: set[tuple[int, int]] = set()
    root = os.path.join(os.fsencode(folder), b"")

    def denied(error: OSError) -> None:
        logger.warning("%s cannot be read: %s", error.filename, error.strerror)

    for place, folders, names in os.walk(root, followlinks=True, onerror=denied):
        found = os.stat(place)
        if (found.st_dev, found.st_ino) in seen:
            folders.clear()
            continue
        seen.add((found.st_dev, found.st_ino))
        folders[:] = sorted(name for name in folders if name != b"__MACOSX")
        for name in sorted(names):
            if name.startswith(b"._"):  # what macOS keeps about a file, not a file
                continue
            path = os.path.join(place, name)
            if os.path.isfile(path):
                yield path[len(root) :]

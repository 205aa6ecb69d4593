"""Recordings of the same name in different folders: an alignment of that name is one's alone."""

from __future__ import annotations

import hashlib
import os
from array import array
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from orality.audio import printable
from orality.corpus.sources import Entry


def namesakes(entries: Callable[[], Iterable[Entry]]) -> dict[str, list[str]]:
    """The paths of recordings whose names, without folders and suffix, others have, too: by name.

    Goes through the entries once, and twice where there are such; sixteen bytes a recording.
    """
    hashes = array("Q")
    for stem, path in _files(entries()):
        hashes.extend((_hash(stem), _hash(path)))
    pairs = np.unique(np.frombuffer(hashes, np.uint64).reshape(-1, 2), axis=0)
    stems, counts = np.unique(pairs[:, 0], return_counts=True)
    shared = set(stems[counts > 1].tolist())
    found: dict[str, dict[str, None]] = {}
    for stem, path in _files(entries()) if shared else ():
        if _hash(stem) in shared:
            found.setdefault(printable(os.fsdecode(stem)), {})[os.fsdecode(path)] = None
    return {stem: list(paths) for stem, paths in found.items()}


def _files(entries: Iterable[Entry]) -> Iterator[tuple[bytes, bytes]]:
    for entry in entries:
        if entry.path:
            yield os.path.splitext(os.path.basename(entry.path))[0], entry.path


def _hash(name: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little")

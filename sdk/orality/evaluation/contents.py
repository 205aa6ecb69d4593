"""What a stored result was made from: contents, hashed once, known again by stamps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from orality.evaluation.journal import Row
from orality.types import Units
from orality.weights.cache import file_sha256


def stamp(path: Path) -> list[int]:
    """Size, time of the last change of the content, and of the entry, in bytes and nanoseconds."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def content_of(path: Path) -> Row:
    """What a stored row says about the file that it was made from."""
    before = stamp(path)
    return {"stamp": before, "sha256": file_sha256(path)}


def is_unchanged(row: Row, path: Path) -> bool:
    """Whether a file still has the content that a stored row was made from.

    It is hashed only where its stamp differs; then an equal content's stamp is put into `row`.
    """
    if not path.is_file() or "sha256" not in row:
        return False
    now = stamp(path)
    if row.get("stamp") != now:
        if file_sha256(path) != row["sha256"]:
            return False
        row["stamp"] = now
    return True


def digest_of_units(units: Iterable[Units]) -> str:
    """sha256 of unit sequences: their ids and durations, which likelihoods depend on."""
    plain = [
        [np.asarray(part).tolist() for part in (item.ids, item.durations) if part is not None]
        for item in units
    ]
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()

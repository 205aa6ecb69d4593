"""Folders that appear whole or not at all, and the steps of a training kept in such folders."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from orality.errors import CheckpointError
from orality.store.files import explain_os_errors

logger = logging.getLogger(__name__)

MARKER = "COMPLETE"


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, put at `path` (in place of what was there) once all of it is on disk."""
    partial = path.with_name(f".{path.name}.partial")
    with explain_os_errors(path):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        for item in [*partial.rglob("*"), partial]:
            _sync(item)
        if path.exists():
            shutil.rmtree(path)
        os.replace(partial, path)
        _sync(path.parent)


def write_step(folder: Path, step: int, fill: Callable[[Path], object], *, keep: int) -> Path:
    """Let `fill` write the files of `folder/step-STEP`, then drop all but the newest `keep` steps.

    A marker keeps every file's size and sha256. A kill at any moment leaves the older steps intact.
    """
    for leftover in folder.glob(".step-*.partial"):
        shutil.rmtree(leftover, ignore_errors=True)
    path = folder / f"step-{step:08d}"
    with whole_folder(path) as partial:
        fill(partial)
        _mark(partial)
    for old in _newest_first(folder)[keep:]:
        shutil.rmtree(old)
    return path


def newest_step(folder: Path) -> Path | None:
    """The newest step whose files are what its marker says; None where there is none yet.

    Raises CheckpointError when every step is damaged: what a training did is not thrown away
    without being asked.
    """
    steps = _newest_first(folder)
    for path in steps:
        if _is_sound(path):
            return path
        logger.warning("%s is damaged; the one before it counts", path)
    if steps:
        raise CheckpointError(
            f"{folder} holds {len(steps)} checkpoints, and the files of none are what its {MARKER} "
            "says; bring them back, or remove them to start over"
        )
    return None


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"), reverse=True)


def _mark(folder: Path) -> None:
    files = {file.name: [file.stat().st_size, _sha256(file)] for file in sorted(folder.iterdir())}
    (folder / MARKER).write_text(json.dumps(files, indent=2))


def _is_sound(folder: Path) -> bool:
    try:
        files = json.loads((folder / MARKER).read_text())
        return all(
            [(folder / name).stat().st_size, _sha256(folder / name)] == expected
            for name, expected in files.items()
        )
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return False


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

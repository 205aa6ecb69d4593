"""Writing a file so that a crash leaves the old one or the new one, never a half."""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from orality.errors import OralityError, StoreError
from orality.untrusted import documents

_SYNCS_AT_A_TIME = 8
_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{8}", re.DOTALL)
_FULL = re.compile(
    r"No space left on device|os error (28|122)\b|PytorchStreamWriter failed writing file"
)


@contextmanager
def explain_os_errors(path: Path) -> Iterator[None]:
    """Turn a full disk or a refused permission into one clear StoreError."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise _disk_is_full(path) from error
        raise StoreError(f"{path} cannot be written: {error}") from error
    except Exception as error:  # safetensors and torch have errors of their own for a full disk
        if _FULL.search(str(error)) and not isinstance(error, OralityError):
            raise _disk_is_full(path) from error
        raise


def _disk_is_full(path: Path) -> StoreError:
    return StoreError(
        f"the disk is full while writing {path}; what was finished is kept: free some space and "
        "run the same command again"
    )


def atomic_write(path: Path, write: Callable[[BinaryIO], object], *, sync: bool = True) -> None:
    """Let `write` fill a temporary neighbor of `path`, sync it, and move it into place.

    Without `sync` a power failure may still empty the file: see `sync_files` for many at a time.
    """
    with explain_os_errors(path):
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
        name = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            with name.open("xb") as file:
                write(file)
                if sync:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            name.unlink(missing_ok=True)
            raise
        if sync:
            _sync(path.parent)


def sync_files(folder: Path) -> None:
    """Put the files of a folder on disk, before a shard that speaks of them appears.

    Several at a time, so that the file system writes its journal once for many of them.
    """
    if not folder.is_dir():
        return
    with explain_os_errors(folder), ThreadPoolExecutor(_SYNCS_AT_A_TIME) as pool:
        list(pool.map(_sync, list(folder.iterdir())))
        _sync(folder)
        _sync(folder.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_unfinished(name: str) -> bool:
    """Whether a file is one that `atomic_write` was writing, by its name."""
    return _UNFINISHED.fullmatch(name) is not None


def drop_unfinished(folder: Path) -> None:
    """Remove what a killed process was still writing; call it only while nobody else writes."""
    if not folder.is_dir():
        return
    with explain_os_errors(folder):
        for path in folder.iterdir():
            if is_unfinished(path.name):
                path.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically, indented, keys in the order given."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    atomic_write(path, lambda file: file.write(text.encode()))


def read_json(path: Path) -> Any:
    """Read a JSON file; StoreError names the file when it cannot be read."""
    return documents.read_json(path, StoreError)

"""The cache: finished checkpoints appear whole, two processes never write the same one."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from orality.errors import DownloadError

RECEIPT = "source.json"


def cache_folder() -> Path:
    """ORALITY_CACHE, or `orality` in the user's own cache folder."""
    chosen = os.environ.get("ORALITY_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "orality"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/orality"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orality"


def is_offline() -> bool:
    """Whether ORALITY_OFFLINE or HF_HUB_OFFLINE forbids downloads."""
    names = ("ORALITY_OFFLINE", "HF_HUB_OFFLINE")
    return any(os.environ.get(name, "").lower() in {"1", "true", "yes", "on"} for name in names)


def file_sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock beside `path`; another process that wants it waits."""
    from filelock import FileLock

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(str(path) + ".lock"):
            yield
    except PermissionError as error:
        raise DownloadError(
            f"{path.parent} cannot be written: {error}; set ORALITY_CACHE to a folder that can"
        ) from error


@contextmanager
def folder_that_appears_whole(target: Path) -> Iterator[Path]:
    """A temporary folder beside `target`, renamed to it at the end, removed on any error."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        temporary.rename(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def write_receipt(folder: Path, content: dict[str, object]) -> None:
    """Note beside the weights what they are and where they came from."""
    (folder / RECEIPT).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")

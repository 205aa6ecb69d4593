"""A checkpoint that the user has as a zip archive: unpacked into the cache once."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orality.errors import CheckpointError, DownloadError
from orality.weights.archive import fingerprint, unpack, unpack_small
from orality.weights.cache import (
    cache_folder,
    file_sha256,
    folder_that_appears_whole,
    locked,
    write_receipt,
)

logger = logging.getLogger(__name__)

MAX_BYTES = 64 * 2**30
MAX_SMALL_BYTES = 2**20


def unpacked(archive: Path) -> Path:
    """The folder in the cache with what a zip archive holds, unpacked unless it is there already.

    The folder appears whole; its name changes with the archive's content. Raises CheckpointError
    for what is no zip archive, is damaged, or holds unsafe or too many bytes (at most 64 GiB, and
    20 times the archive's size).
    """
    with _checkpoint_errors(archive):
        stem = re.sub(r"[^\w.-]", "-", archive.stem)[:64]
        folder = cache_folder() / "checkpoints" / f"{stem}-{fingerprint(archive)[:12]}"
        if not folder.is_dir():
            with locked(folder):
                if not folder.is_dir():  # nobody else filled it while this process waited
                    logger.info("unpacking %s into %s", archive, folder)
                    _fill(archive, folder)
    return folder


@contextmanager
def small_files(archive: Path, *names: str) -> Iterator[Path]:
    """A temporary folder with those of the named files that a zip archive holds.

    For what `describe` reads: at most 1 MiB each. Raises CheckpointError as `unpacked` does.
    """
    with tempfile.TemporaryDirectory(prefix="orality-") as name:
        with _checkpoint_errors(archive):
            unpack_small(archive, names, Path(name), max_bytes=MAX_SMALL_BYTES)
        yield Path(name)


def _fill(archive: Path, folder: Path) -> None:
    with folder_that_appears_whole(folder) as whole:
        unpack(archive, whole, max_bytes=MAX_BYTES)
        files = sorted(path for path in whole.rglob("*") if path.is_file())
        digests = {path.relative_to(whole).as_posix(): file_sha256(path) for path in files}
        write_receipt(
            whole,
            {"name": archive.stem, "license": "", "sources": [archive.name], "sha256": digests},
        )


@contextmanager
def _checkpoint_errors(archive: Path) -> Iterator[None]:
    try:
        yield
    except (DownloadError, OSError) as error:
        raise CheckpointError(f"{archive} cannot be unpacked: {error}") from error

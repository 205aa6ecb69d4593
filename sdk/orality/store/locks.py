"""One process at a time in a folder, and nothing in it that leads out of it."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from orality.errors import StoreError
from orality.store.files import explain_os_errors, is_unfinished

logger = logging.getLogger(__name__)

_BUSY = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}


@contextmanager
def lock_folder(path: Path) -> Iterator[None]:
    """Hold a folder for this process, making it if need be; a second one gets a StoreError at once.

    Refuses a folder that links lead out of, as `refuse_links` does, and removes what killed
    processes were still writing below it. On a file system without locks it warns and goes on.
    """
    with explain_os_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        handle = _opened(path / ".lock")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _BUSY:
            os.close(handle)
            raise BusyError(
                f"another process is working in {path}; wait for it or stop it first"
            ) from error
        logger.warning(
            "%s is on a file system without locks (%s): let no other process work in it",
            path, error.strerror,
        )  # fmt: skip
    try:
        for file in _entries(path):
            if is_unfinished(file.name):
                file.unlink(missing_ok=True)
        yield
    finally:
        os.close(handle)


@contextmanager
def lock_if_free(path: Path) -> Iterator[None]:
    """`lock_folder`, or without it where somebody holds the folder already: for what may be done
    beside others, this process among them."""
    with ExitStack() as stack:
        try:
            stack.enter_context(lock_folder(path))
        except BusyError:
            logger.debug("%s is held; what is unfinished in it stays", path)
        yield


class BusyError(StoreError):
    """Another process holds the folder."""


def refuse_links(folder: Path) -> None:
    """StoreError for a link below `folder` that leads out of it, so that nothing is read, written
    or deleted there; `folder` itself may be a link."""
    for _ in _entries(folder):
        pass


def _entries(folder: Path) -> Iterator[Path]:
    """All files below a folder; StoreError for a link that leads out of it."""
    root = folder.resolve()
    left = [root] if root.is_dir() else []
    with explain_os_errors(folder):
        while left:
            with os.scandir(left.pop()) as entries:
                for entry in entries:
                    if entry.is_symlink():
                        _check_link(Path(entry.path), root)
                    elif entry.is_dir(follow_symlinks=False):
                        left.append(Path(entry.path))
                    else:
                        yield Path(entry.path)


def _check_link(link: Path, root: Path) -> None:
    if not link.resolve().is_relative_to(root):
        raise StoreError(
            f"{link} is a link that leads out of {root}; nothing there is read or written: put the "
            "file or folder itself in its place, or link the whole folder"
        )


def _opened(lock: Path) -> int:
    try:
        return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise StoreError(f"{lock} is a link that leads out of the folder; remove it") from error
        raise

"""Which checkpoints were resolved while a component was built: what a run's manifest can vouch for.

Those who find files say so here (`find_checkpoint`, `fetch`), those who write manifests listen.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

_listening: ContextVar[list[Path] | None] = ContextVar("listening", default=None)


def note_checkpoint(path: Path) -> Path:
    """Say that the component being built reads this file or folder; returns `path`.

    Only a plugin that finds its weights without `find_checkpoint` and `orality.fetch` needs it.
    """
    paths = _listening.get()
    if paths is not None and path not in paths:
        paths.append(path)
    return path


@contextmanager
def noted_checkpoints() -> Iterator[list[Path]]:
    """The checkpoints that are noted while the block lasts, in this thread, each once."""
    paths: list[Path] = []
    token = _listening.set(paths)
    try:
        yield paths
    finally:
        _listening.reset(token)

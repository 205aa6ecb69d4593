"""Running a stranger's template for so long, and with so much memory, and no more.

jinja's sandbox keeps a template from everything but time and memory. Both are bounded in this
process: by a trace of the lines that run, and by a limit on the address space.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

SECONDS = 10.0
MOST_BYTES = 512 << 20


class Endless(Exception):
    """The time is over."""


@contextmanager
def bounded(seconds: float = SECONDS, most_bytes: int = MOST_BYTES) -> Iterator[None]:
    """Raises Endless in what runs for longer, MemoryError in what takes more.

    The time is looked at before each line of Python; of code in C, memory alone is bounded.
    """
    before, end = sys.gettrace(), time.monotonic() + seconds

    def watch(frame: FrameType, event: str, value: Any) -> Any:
        if time.monotonic() > end:
            raise Endless
        return watch

    with _limited(most_bytes):
        sys.settrace(watch)
        try:
            yield
        finally:
            sys.settrace(before)


@contextmanager
def _limited(most_bytes: int) -> Iterator[None]:
    try:
        import resource

        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):  # not on this system
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = used + most_bytes
    for limit in (soft, hard):
        most = most if limit == resource.RLIM_INFINITY else min(most, limit)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))

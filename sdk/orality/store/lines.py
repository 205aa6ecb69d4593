"""Logs of JSON lines: a kill may tear the last line, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, BinaryIO

from orality.store.files import explain_os_errors

_BLOCK = 4096  # bytes


def append_line(path: Path, value: Any) -> None:
    """Add a line; one before it that a kill has torn is dropped."""
    line = json.dumps(value).encode() + b"\n"  # in ASCII: no character of it breaks a line
    with explain_os_errors(path), path.open("a+b") as file:
        size = file.seek(0, 2)
        whole = _end_of_last_line(file, size)
        if whole < size:
            file.truncate(whole)
        file.write(line)


def _end_of_last_line(file: BinaryIO, size: int) -> int:
    while size:
        start = max(0, size - _BLOCK)
        file.seek(start)
        found = file.read(size - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        size = start
    return 0

"""The default tracker: a file of JSON lines for each part of a run, and nothing to install."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orality.errors import StoreError
from orality.store.files import atomic_write, explain_os_errors
from orality.untrusted.documents import load_json, read_text


class JsonlTracker:
    """Writes `FOLDER/NAME.jsonl`: a line with the configuration, one for each step, the status.

    A figure that is not finite is null.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "run.jsonl"

    def start(self, name: str, config: Mapping[str, Any], *, first: int) -> None:
        """Keep the steps before `first` of what is there."""
        self._path = self._folder / f"{name}.jsonl"
        rows = [{"run": name, "started": _now(), "config": dict(config)}]
        rows += [row for row in read_steps(self._path) if row["step"] < first]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        atomic_write(self._path, lambda file: file.write(text.encode()))

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Append a line."""
        finite = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
        self._append({"step": step, "time": round(time.time(), 3), **finite})

    def finish(self, status: str) -> None:
        """Append the status."""
        self._append({"status": status, "ended": _now()})

    def _append(self, row: Mapping[str, Any]) -> None:
        with explain_os_errors(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def read_steps(path: Path) -> list[dict[str, Any]]:
    """The lines of a file that hold steps, in order; a torn last line is left out."""
    if not path.is_file():
        return []
    lines = read_text(path, StoreError).split("\n")[:-1]
    rows = [load_json(line, path, StoreError) for line in lines]
    return [row for row in rows if "step" in row]


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

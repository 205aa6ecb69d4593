"""Append-only JSON lines that survive a kill: what was written once is never computed again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from orality.errors import EvaluationError
from orality.store.files import atomic_write, explain_os_errors

Row = dict[str, Any]


class Journal:
    """Rows by `id` in a JSONL file, whose first line holds the settings they were made under.

    Opening an existing file cuts a torn last line and refuses other settings with an
    EvaluationError that names what differs; nothing is mixed.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        self.rows: dict[str, Row] = {}
        plain = json.loads(json.dumps(settings))
        if path.exists():
            self._read(plain)
        else:
            line = _line({"settings": plain})
            atomic_write(path, lambda file: file.write(line))

    def _read(self, settings: Mapping[str, Any]) -> None:
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            with explain_os_errors(self.path):
                os.truncate(self.path, whole)
        for number, line in enumerate(data[:whole].splitlines(), start=1):
            try:
                row = json.loads(line)
                if number == 1:
                    found = row["settings"]
                    continue
                self.rows[row["id"]] = row
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise EvaluationError(
                    f"{self.path}, line {number} is damaged ({error}); delete the file, and only "
                    "what it holds is computed anew"
                ) from error
        if whole == 0:
            raise EvaluationError(f"{self.path} holds no settings; delete it")
        differing = sorted(k for k in {*found, *settings} if found.get(k) != settings.get(k))
        if differing:
            listed = ", ".join(f"{k} ({found.get(k)} there)" for k in differing)
            raise EvaluationError(
                f"{self.path} was made with other settings: {listed}; nothing was mixed: choose "
                "another folder, or delete that file"
            )

    def append(self, rows: Iterable[Row]) -> None:
        """Add rows in one write and sync them to the disk."""
        rows = list(rows)
        with explain_os_errors(self.path), self.path.open("ab") as file:
            file.write(b"".join(map(_line, rows)))
            file.flush()
            os.fsync(file.fileno())
        self.rows.update((row["id"], row) for row in rows)


def _line(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"

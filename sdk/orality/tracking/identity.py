"""What a run folder knows of its trackers: its own name there, and how far each part got."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from orality.store.files import read_json, write_json


class Identity:
    """`FOLDER/identity.json`: a name for the run that no other run has, and marks by target.

    A mark is what was kept about one part of the run at one target (`last` step, `id` there).
    """

    def __init__(self, folder: Path, project: str) -> None:
        self._path, self._project = folder / "identity.json", project

    @property
    def group(self) -> str:
        """What the run is called wherever several runs meet, such as `tiny-3f9a1c`."""
        data = self._read()
        if "group" not in data:
            data["group"] = f"{self._project}-{secrets.token_hex(3)}"
            write_json(self._path, data)
        return str(data["group"])

    def mark(self, target: str, part: str, key: str) -> Any:
        """What `set_mark` kept, or None."""
        return self._read().get("marks", {}).get(target, {}).get(part, {}).get(key)

    def set_mark(self, target: str, part: str, key: str, value: Any) -> None:
        """Keep a value."""
        data = self._read()
        data.setdefault("marks", {}).setdefault(target, {}).setdefault(part, {})[key] = value
        write_json(self._path, data)

    def _read(self) -> dict[str, Any]:
        return dict(read_json(self._path)) if self._path.is_file() else {}

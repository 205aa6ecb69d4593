"""Which orality made a file: version, commit and command."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from pathlib import Path
from typing import Any


def provenance() -> dict[str, Any]:
    """The installed version, the commit of a source tree (None from a wheel), the command."""
    try:
        version = importlib.metadata.version("orality")
    except importlib.metadata.PackageNotFoundError:
        version = "unknown"
    return {
        "orality": version,
        "commit": commit_of(Path(__file__).resolve().parents[3]),
        "python": platform.python_version(),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }


def commit_of(tree: Path) -> str | None:
    """The commit checked out in a source tree, read without running git; None if it is none."""
    try:
        place = tree / ".git"
        if place.is_file():  # a linked worktree names its own folder
            place = tree / place.read_text(encoding="utf-8").split(":", 1)[1].strip()
        head = (place / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return head or None
        name = head.removeprefix("ref: ")
        common = place / "commondir"
        shared = place / common.read_text(encoding="utf-8").strip() if common.is_file() else place
        if (shared / name).is_file():
            return (shared / name).read_text(encoding="utf-8").strip() or None
        packed = (shared / "packed-refs").read_text(encoding="utf-8").splitlines()
        return next((line.split()[0] for line in packed if line.endswith(f" {name}")), None)
    except (OSError, IndexError, UnicodeDecodeError):
        return None

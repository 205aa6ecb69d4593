"""What looked wrong with the trainings of a run, once more at its end."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from orality.store.files import read_json
from orality.untrusted.escaping import for_terminal


def training_warnings(run: Path) -> dict[str, list[str]]:
    """The warnings of each training that a run folder holds, by the folder it is in; where there
    are none, it is left out."""
    found = {}
    for path in sorted(run.glob("*/train/result.json")):
        warnings = read_json(path).get("warnings", [])
        if warnings:
            found[path.parents[1].name] = list(warnings)
    return found


def show_warnings(console: Console, run: Path) -> None:
    """Print them."""
    for name, warnings in training_warnings(run).items():
        for warning in warnings:
            console.print(f"[yellow]{name}:[/] ", end="")
            console.print(for_terminal(warning), markup=False, highlight=False)

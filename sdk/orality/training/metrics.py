"""The record of a training: one line of JSON per step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from orality.errors import TrainingError
from orality.store.files import atomic_write
from orality.untrusted.documents import load_json, read_text


def append_metrics(path: Path, record: Mapping[str, float]) -> None:
    """Add one line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def read_metrics(path: Path) -> list[dict[str, float]]:
    """All whole lines, in order; a line that a crash tore off is left out."""
    if not path.is_file():
        return []
    lines = read_text(path, TrainingError).split("\n")[:-1]  # what follows the last newline is torn
    return [load_json(line, path, TrainingError) for line in lines]


def tracked_figures(record: Mapping[str, float]) -> dict[str, float]:
    """A step's record as trackers name it: `train/loss`, `dev/reward_margin`."""
    return {
        f"dev/{name[4:]}" if name.startswith("dev_") else f"train/{name}": value
        for name, value in record.items()
        if name != "step"
    }


def rewind_metrics(path: Path, step: int) -> None:
    """Forget what was recorded after `step`: it is about to happen again."""
    if path.is_file():
        kept = [record for record in read_metrics(path) if record["step"] <= step]
        text = "".join(json.dumps(record) + "\n" for record in kept)
        atomic_write(path, lambda file: file.write(text.encode()))

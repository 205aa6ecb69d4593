"""Training checkpoints that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from orality.errors import CheckpointError

MARKER = "COMPLETE"


def write_checkpoint(folder: Path, step: int, values: Mapping[str, Any], *, keep: int = 2) -> Path:
    """Save `values` (state dicts) as `folder/step-N`; the `keep` newest checkpoints survive.

    Everything is written and synced under a temporary name, the marker last, then renamed: a
    kill at any moment leaves the older checkpoints intact.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"step-{step:09d}"
    partial = folder / f".partial-{os.getpid()}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    with (partial / "state.pt").open("wb") as file:
        torch.save({"step": step, "values": dict(values)}, file)
        file.flush()
        os.fsync(file.fileno())
    with (partial / MARKER).open("w") as marker:
        marker.write(f"{step}\n")
        marker.flush()
        os.fsync(marker.fileno())
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    _sync(folder)
    for old in _complete(folder)[:-keep] if keep else []:
        shutil.rmtree(old, ignore_errors=True)
    return target


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint, or None; leftovers of a killed run are removed."""
    if not folder.is_dir():
        return None
    for leftover in folder.glob(".partial-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    complete = _complete(folder)
    return complete[-1] if complete else None


def read_checkpoint(path: Path) -> tuple[int, dict[str, Any]]:
    """The step and the state dicts of one checkpoint; never executes anything it holds."""
    try:
        content = torch.load(path / "state.pt", map_location="cpu", weights_only=True)
        return int(content["step"]), dict(content["values"])
    except Exception as error:  # torch.load raises many kinds for a damaged file
        raise CheckpointError(
            f"{path} cannot be read: {error}; remove it to go back one"
        ) from error


def _complete(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step-*") if (path / MARKER).exists())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

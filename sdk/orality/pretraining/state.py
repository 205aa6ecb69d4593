"""Checkpoints of a pretraining: state dicts of any make, read without executing anything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from orality.errors import CheckpointError
from orality.store.folders import write_step


def write_checkpoint(folder: Path, step: int, values: Mapping[str, Any], *, keep: int = 2) -> Path:
    """Save `values` (state dicts) as `folder/step-STEP`, then drop all but the newest `keep`."""
    content = {"step": step, "values": dict(values)}
    return write_step(
        folder, step, lambda partial: torch.save(content, partial / "state.pt"), keep=keep
    )


def read_checkpoint(path: Path) -> tuple[int, dict[str, Any]]:
    """The step and the state dicts of one checkpoint; never executes anything it holds."""
    try:
        content = torch.load(path / "state.pt", map_location="cpu", weights_only=True)
        return int(content["step"]), dict(content["values"])
    except Exception as error:  # torch.load raises many kinds for a damaged file
        raise CheckpointError(
            f"{path} cannot be read: {error}; remove it to go back one"
        ) from error

"""Checkpoints of a training: tensors without pickle, checked when read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from orality.errors import CheckpointError
from orality.store.folders import newest_step, write_step
from orality.untrusted.documents import read_json


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`tensors` on the CPU, and plain JSON `values`, as they were after `step` steps."""

    step: int
    tensors: dict[str, Tensor]
    values: dict[str, Any]


def write_checkpoint(
    folder: Path, step: int, tensors: Mapping[str, Tensor], values: Mapping[str, Any], *, keep: int
) -> Path:
    """Write `folder/step-STEP`, then drop all but the newest `keep`."""

    def fill(partial: Path) -> None:
        save_file(
            {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
            partial / "state.safetensors",
        )
        (partial / "state.json").write_text(json.dumps({"step": step, **values}, indent=2))

    return write_step(folder, step, fill, keep=keep)


def latest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that is not damaged, None if there is none; see `newest_step`."""
    path = newest_step(folder)
    if path is None:
        return None
    file = path / "state.json"
    try:
        values = read_json(file, CheckpointError)
        step = int(values.pop("step"))
        file = path / "state.safetensors"
        return Checkpoint(step, load_file(file), values)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, SafetensorError) as error:
        raise CheckpointError(
            f"{file} is damaged ({error}); remove {path} to go on from the step before"
        ) from error

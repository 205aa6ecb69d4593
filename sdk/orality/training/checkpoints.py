"""Checkpoints of a training: they appear whole or not at all, and are checked when read."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from orality.store.files import explain_os_errors

MARKER = "COMPLETE"


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
    path = folder / f"step-{step:08d}"
    with whole_folder(path) as partial:
        save_file(
            {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
            partial / "state.safetensors",
        )
        (partial / "state.json").write_text(json.dumps({"step": step, **values}, indent=2))
        _mark(partial)
    for old in _steps(folder)[keep:]:
        shutil.rmtree(old)
    return path


def latest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint whose files are what its marker says; None if there is none."""
    for path in _steps(folder):
        if _is_sound(path):
            values = json.loads((path / "state.json").read_text())
            step = values.pop("step")
            return Checkpoint(step, load_file(path / "state.safetensors"), values)
    return None


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, put at `path` (in place of what was there) once all of it is on disk."""
    partial = path.with_name(f".{path.name}.partial")
    with explain_os_errors(path):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        for file in [*partial.iterdir(), partial]:
            _sync(file)
        if path.exists():
            shutil.rmtree(path)
        os.replace(partial, path)
        _sync(path.parent)


def _steps(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"), reverse=True)


def _mark(folder: Path) -> None:
    files = {file.name: [file.stat().st_size, _sha256(file)] for file in sorted(folder.iterdir())}
    (folder / MARKER).write_text(json.dumps(files, indent=2))


def _is_sound(folder: Path) -> bool:
    try:
        files = json.loads((folder / MARKER).read_text())
        return all(
            [(folder / name).stat().st_size, _sha256(folder / name)] == expected
            for name, expected in files.items()
        )
    except (OSError, ValueError, AttributeError):
        return False


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

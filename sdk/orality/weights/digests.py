"""The sha256 of a checkpoint's weights: the known one where they were fetched, else computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from orality.checkpoints import read_json
from orality.errors import CheckpointError
from orality.weights.cache import RECEIPT, cache_folder, file_sha256

# What holds weights, in whatever format; of a folder with both, safetensors are what is loaded.
_SAFE = frozenset({".safetensors"})
_OTHERS = frozenset({
    ".bin", ".gguf", ".joblib", ".km", ".nemo", ".npy", ".onnx", ".ort", ".pkl", ".pt", ".pth",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A file of weights, named by its folder and its own name. `bytes`: its size.

    `hashed`: `when fetched` is the sha256 that the cache wrote down when the file arrived and was
    checked, `when built` that of the file as a component was built from it.
    """

    file: str
    bytes: int
    sha256: str
    hashed: Literal["when fetched", "when built"]


def weight_files(checkpoints: Iterable[Path]) -> list[WeightFile]:
    """The weights in files and folders (not below them), in order; reads what was not fetched."""
    return [_described(file) for path in checkpoints for file in _weights(path)]


def _weights(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    files = sorted(item for item in path.iterdir() if item.is_file())
    for suffixes in (_SAFE, _OTHERS):
        found = [file for file in files if file.suffix.lower() in suffixes]
        if found:
            yield from found
            return


def _described(file: Path) -> WeightFile:
    name, size = f"{file.parent.resolve().name}/{file.name}", file.stat().st_size
    known = _receipt(file.parent).get(file.name)
    if isinstance(known, str):
        return WeightFile(name, size, known, "when fetched")
    return WeightFile(name, size, file_sha256(file), "when built")


def _receipt(folder: Path) -> dict[str, Any]:
    """What the cache knows of a folder's files; a receipt that was copied elsewhere proves none."""
    if folder.parent != cache_folder() / "checkpoints":
        return {}
    try:
        known = read_json(folder / RECEIPT).get("sha256")
    except CheckpointError:
        return {}
    return known if isinstance(known, dict) else {}

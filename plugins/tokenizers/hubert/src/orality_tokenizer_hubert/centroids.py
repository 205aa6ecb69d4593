"""K-means tables from the containers they come in; torch is imported for torch's own files only."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orality import CheckpointError
from orality.checkpoints import read_array


@dataclass(frozen=True, slots=True, eq=False)
class Centroids:
    """`table`: float32 (clusters, width). `layer`: what the file says about itself, if anything."""

    table: NDArray[np.float32]
    layer: int | None = None

    @property
    def fingerprint(self) -> str:
        """The sha256 of the table's bytes, float32 in C order."""
        return hashlib.sha256(np.ascontiguousarray(self.table).tobytes()).hexdigest()


def read_centroids(path: Path) -> Centroids:
    """Read `.safetensors` (tensor `centroids`), `.npy`, a scikit-learn `.bin`/`.joblib`/`.pkl`, or
    torch's `.pt`/`.pth`: a tensor, or a table with `cluster_centers` (and `n_clusters`) in it.

    Raises CheckpointError when it is none of these, or not a table of finite numbers.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} is no file; `kmeans` wants .safetensors, .npy, .pt or .bin")
    layer: int | None = None
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        table, layer = _safetensors(path)
    elif suffix == ".npy":
        table = read_array(path)
    elif suffix in {".bin", ".joblib", ".pkl", ".km"}:
        from orality_tokenizer_hubert.joblib_reader import read_joblib_centroids

        table = read_joblib_centroids(path)
    elif suffix in {".pt", ".pth"}:
        from orality_tokenizer_hubert.torch_reader import read_torch_centroids

        table = read_torch_centroids(path)
    else:
        raise CheckpointError(
            f"{path}: k-means wants .safetensors, .npy, .pt or .bin, not {suffix!r}"
        )
    if table.ndim != 2 or 0 in table.shape or table.dtype.kind not in "fiu":
        raise CheckpointError(
            f"{path} holds {table.dtype} of shape {table.shape}; wanted numbers (clusters, width)"
        )
    if not np.isfinite(table).all():
        raise CheckpointError(f"{path} holds centroids that are not finite")
    if layer is None:
        named = re.search(r"(?:^|[^A-Za-z0-9])[Ll](?:ayer)?(\d+)(?:[^0-9]|$)", path.name)
        layer = int(named.group(1)) if named else None
    return Centroids(np.array(table, dtype=np.float32, order="C"), layer)


def _safetensors(path: Path) -> tuple[NDArray[np.generic], int | None]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            if "centroids" not in names:
                raise CheckpointError(f"{path} holds {names}, no tensor 'centroids'")
            stated = (file.metadata() or {}).get("layer", "")
            return file.get_tensor("centroids"), int(stated) if stated.isdigit() else None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error

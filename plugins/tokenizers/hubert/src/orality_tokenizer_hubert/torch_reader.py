"""K-means tables in torch's own files, read with `weights_only`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from orality import CheckpointError

_KEYS = ("cluster_centers", "centroids", "cluster_centers_")


def read_torch_centroids(path: Path) -> NDArray[np.generic]:
    """The table of a file that holds a tensor, or a dictionary with one under a usual name.

    Raises CheckpointError for anything else, and when `n_clusters` beside it says otherwise.
    """
    reconstruct: Any = np.empty(0).__reduce__()[0]
    arrays: list[Any] = [
        np.ndarray,
        np.dtype,
        type(np.dtype(np.float32)),
        type(np.dtype(np.float64)),
        (reconstruct, "numpy.core.multiarray._reconstruct"),  # the name before numpy 2
        (reconstruct, "numpy._core.multiarray._reconstruct"),
    ]
    try:
        with torch.serialization.safe_globals(arrays):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many kinds for a damaged or hostile file
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{path} is refused: {reason}") from error
    table, stated = content, None
    if isinstance(content, dict):
        table = next((content[key] for key in _KEYS if key in content), None)
        stated = content.get("n_clusters")
    if isinstance(table, torch.Tensor):
        table = table.detach().float().numpy()
    if not isinstance(table, np.ndarray) or table.ndim != 2:
        raise CheckpointError(f"{path} holds no tensor (clusters, width), nor {' or '.join(_KEYS)}")
    if stated is not None and int(stated) != len(table):
        raise CheckpointError(f"{path} states {int(stated)} clusters and holds {len(table)}")
    return table

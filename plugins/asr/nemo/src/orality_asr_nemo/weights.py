"""Weights that NeMo will unpickle must hold tensors and nothing that runs."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from orality import CheckpointError


def check_weights(path: Path) -> None:
    """Read a state dict as torch's restricted unpickler does, without keeping it.

    NeMo leaves the choice of unpickler to torch's default, which the environment can switch to
    the unrestricted one; what the restricted one reads is safe with either. Raises CheckpointError.
    """
    import torch

    packed = zipfile.is_zipfile(path)
    if packed:
        with zipfile.ZipFile(path) as archive:
            if any(item.compress_type != zipfile.ZIP_STORED for item in archive.infolist()):
                raise CheckpointError(f"{path.name} is compressed, which torch never does; refused")
    try:
        # Mapped and without a device, so that nothing is copied.
        content: Any = torch.load(
            path, weights_only=True, mmap=packed or None, map_location="meta" if packed else "cpu"
        )
    except Exception as error:  # torch raises what its parts raise on foreign bytes
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"{path.name} cannot be read as plain weights: {reason}; it is damaged or holds more "
            "than tensors"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path.name} holds a {type(content).__name__}, not named tensors")

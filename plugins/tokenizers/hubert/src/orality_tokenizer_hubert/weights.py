"""The tensors of a transformers folder, by name: safetensors or pickled, whole or in shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from orality import CheckpointError
from orality.checkpoints import read_json

State = dict[str, torch.Tensor]
_FILES = ("model.safetensors", "pytorch_model.bin")


def read_folder_state(path: Path) -> State:
    """All tensors of the first weight file (or index of shards) that is there.

    Raises CheckpointError when there is none, or a file is damaged or holds more than tensors.
    """
    for name in _FILES:
        index = path / f"{name}.index.json"
        if (path / name).is_file():
            return _tensors(path / name)
        if index.is_file():
            shards = read_json(index).get("weight_map")
            if not isinstance(shards, dict):
                raise CheckpointError(f"{index} has no weight_map: it names no file")
            state: State = {}
            for shard in sorted(set(shards.values())):
                state |= _tensors(path / Path(shard).name)
            return state
    raise CheckpointError(f"{path} holds neither {' nor '.join(_FILES)}")


def _tensors(file: Path) -> State:
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        content: Any = torch.load(file, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file} cannot be read: {error}") from error
    except Exception as error:  # torch.load raises many kinds for a damaged or hostile file
        raise CheckpointError(f"{file} is refused: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict) or not all(
        isinstance(value, torch.Tensor) for value in content.values()
    ):
        raise CheckpointError(f"{file} is no table of tensors")
    return content

"""Whether a model folder holds one complete set of weights, told from its file names alone."""

from __future__ import annotations

from pathlib import Path

from orality import CheckpointError
from orality.checkpoints import read_json

_KINDS = ("model.safetensors", "pytorch_model.bin")  # in the order in which transformers looks


def check_complete(folder: Path) -> None:
    """Raise CheckpointError unless the folder holds a weight file, or every shard of its index."""
    for name in _KINDS:
        if (folder / name).is_file():
            return
        index = folder / f"{name}.index.json"
        if index.is_file():
            _check_shards(index)
            return
    raise CheckpointError(f"{folder} cannot be loaded: {_what_is_there(folder)}")


def _check_shards(index: Path) -> None:
    shards = read_json(index).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise CheckpointError(f"{index} names no shards: its 'weight_map' is {shards!r:.80}")
    names = sorted({str(name) for name in shards.values()})
    outside = [name for name in names if Path(name).name != name]
    if outside:
        raise CheckpointError(f"{index} names {outside[0]!r}, which is no plain file name")
    missing = [name for name in names if not (index.parent / name).is_file()]
    if missing:
        raise CheckpointError(
            f"{index.parent} lacks {len(missing)} of the {len(names)} shards that {index.name} "
            f"names: {', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''}"
        )


def _what_is_there(folder: Path) -> str:
    wanted = "model.safetensors or pytorch_model.bin, or their shards and index"
    if (folder / "adapter_config.json").is_file():
        return f"it is an adapter without its base model; wanted {wanted}: merge the two first"
    shards = sorted(path.name for path in folder.glob("*-of-*") if path.is_file())
    if shards:
        return f"it has the shard {shards[0]} but no index that says which tensor is where"
    return f"it holds no weights; wanted {wanted}"

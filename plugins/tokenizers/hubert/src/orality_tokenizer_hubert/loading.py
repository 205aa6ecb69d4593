"""A checkpoint to a running tokenizer: local files, nothing missing, nothing left over."""

from __future__ import annotations

import re
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers import HubertConfig, HubertModel

import orality
from orality import CheckpointError
from orality.checkpoints import read_json
from orality_tokenizer_hubert.fairseq import read_fairseq
from orality_tokenizer_hubert.folder import (
    MHUBERT,
    MHUBERT_KMEANS,
    SAMPLE_RATE,
    find_checkpoint,
    read_codebook,
    read_config,
)
from orality_tokenizer_hubert.tokenizer import HubertTokenizer

# Names that older checkpoints use for the tensors of the positional convolution.
_ALIASES = (
    (r"pos_conv_embed\.conv\.0\.", "pos_conv_embed.batch_norm."),
    (r"pos_conv_embed\.conv\.1\.", "pos_conv_embed.conv."),
    (r"pos_conv_embed\.conv\.weight_g$", "pos_conv_embed.conv.parametrizations.weight.original0"),
    (r"pos_conv_embed\.conv\.weight_v$", "pos_conv_embed.conv.parametrizations.weight.original1"),
)


def load_hubert_tokenizer(
    checkpoint: str | Path = "tiny",
    *,
    kmeans: str | Path | None = None,
    layer: int | None = None,
    codebook: str | None = None,
    normalize: bool = False,
    deduplicate: bool = True,
    max_chunk_seconds: float = 100.0,
    device: str = "auto",
) -> HubertTokenizer:
    """Load an encoder (as much of it as `layer` needs, in float32) and its k-means.

    Raises CheckpointError when weights or k-means are missing, do not fit, or are refused.
    """
    path = find_checkpoint(str(checkpoint)) or Path(orality.fetch(str(checkpoint)))
    bare = not (path / "kmeans.safetensors").is_file()  # the hub's folder has no k-means in it
    if kmeans is None and bare and str(checkpoint) == MHUBERT:
        kmeans, layer = MHUBERT_KMEANS, 11 if layer is None else layer
        codebook = codebook or f"{MHUBERT}/l{layer}/km500"
    if kmeans is not None:
        kmeans = _kmeans_file(kmeans)
    if path.is_file():
        config, state, wants_normalized = read_fairseq(path)
        normalize = normalize or wants_normalized
    else:
        config, state = HubertConfig(**read_config(path)), _folder_state(path)
    rate = SAMPLE_RATE / prod(config.conv_stride)
    book = read_codebook(path, rate, kmeans=kmeans, layer=layer, codebook=codebook)
    if book.layer > config.num_hidden_layers:
        raise CheckpointError(
            f"layer {book.layer} does not exist; {path} has layers 0 to {config.num_hidden_layers}"
        )
    if book.centroids.table.shape[1] != config.hidden_size:
        raise CheckpointError(
            f"the k-means has {book.centroids.table.shape[1]} dimensions, "
            f"the features of {path} have {config.hidden_size}"
        )
    place = _device(device)
    return HubertTokenizer(
        _up_to(_model(config, state, path), book.layer).to(place),
        torch.from_numpy(book.centroids.table).to(place),
        unit_spec=replace(book.unit_spec, deduplicated=deduplicate),
        normalize=normalize,
        max_chunk_seconds=max_chunk_seconds,
    )


def _model(config: HubertConfig, state: dict[str, torch.Tensor], path: Path) -> HubertModel:
    try:
        model = HubertModel(config)
    except (ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{path}: no HuBERT can be built from its config: {error}") from error
    wanted = set(model.state_dict())
    for name in ("masked_spec_embed",):  # used in training only; its presence follows the config
        if name not in wanted:
            state.pop(name, None)
        else:
            state.setdefault(name, model.state_dict()[name])
    missing, extra = sorted(wanted - set(state)), sorted(set(state) - wanted)
    for what, names in (("lacks", missing), ("has unknown tensors", extra)):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise CheckpointError(f"{path} {what}: {', '.join(names[:3])}{more}")
    try:
        model.load_state_dict({name: value.float() for name, value in state.items()})
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit its config: {error}") from error
    return model.eval().requires_grad_(False)


def _up_to(model: HubertModel, layer: int) -> HubertModel:
    """The same model without the blocks above `layer`; its output is `hidden_states[layer]`."""
    blocks = model.encoder.layers
    if layer < len(blocks):
        model.encoder.layers = blocks[:layer]
        if model.config.do_stable_layer_norm:
            # pre-norm models end in one more norm, which belongs to the last layer only
            model.encoder.layer_norm = nn.Identity()
    return model


def _folder_state(path: Path) -> dict[str, torch.Tensor]:
    index = path / "model.safetensors.index.json"
    names = ["model.safetensors", "pytorch_model.bin"]
    if index.is_file():
        shards = read_json(index).get("weight_map")
        if not isinstance(shards, dict):
            raise CheckpointError(f"{index} has no weight_map: it names no file")
        files = [path / Path(name).name for name in sorted(set(shards.values()))]
    else:
        files = [path / name for name in names if (path / name).is_file()][:1]
    if not files:
        raise CheckpointError(f"{path} holds neither {' nor '.join(names)}")
    state: dict[str, torch.Tensor] = {}
    for file in files:
        state |= _tensors(file)
    renamed = {}
    for name, value in state.items():
        for pattern, replacement in _ALIASES:
            name = re.sub(pattern, replacement, name)
        renamed[name] = value
    return renamed


def _tensors(file: Path) -> dict[str, torch.Tensor]:
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


def _kmeans_file(kmeans: str | Path) -> Path:
    path = Path(orality.fetch(str(kmeans)))
    if path.is_file():
        return path
    found = sorted(p for p in path.glob("*") if p.suffix in {".bin", ".npy", ".safetensors"})
    if len(found) != 1:
        raise CheckpointError(f"{path} holds {len(found)} k-means files; name one of them")
    return found[0]


def _device(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(device)

"""A checkpoint to a running tokenizer: local files, nothing missing, nothing left over."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from pathlib import Path

import torch

import orality
from orality import CheckpointError
from orality_tokenizer_hubert.encoders import build_encoder, read_encoder_config
from orality_tokenizer_hubert.fairseq import read_fairseq
from orality_tokenizer_hubert.folder import (
    MHUBERT,
    MHUBERT_KMEANS,
    SAMPLE_RATE,
    find_checkpoint,
    mel_stride,
    read_codebook,
    read_config,
    stated_frame_rate,
    wants_normalized,
)
from orality_tokenizer_hubert.tokenizer import HubertTokenizer
from orality_tokenizer_hubert.weights import read_folder_state


def load_hubert_tokenizer(
    checkpoint: str | Path = "tiny",
    *,
    kmeans: str | Path | None = None,
    layer: int | None = None,
    codebook: str | None = None,
    normalize: bool | None = None,
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
    stride = 2
    if path.is_file():
        config, state, trained_so = read_fairseq(path)
        rate = SAMPLE_RATE / prod(config.conv_stride)
    else:
        rate, stride, trained_so = stated_frame_rate(path), mel_stride(path), wants_normalized(path)
        config, state = read_encoder_config(read_config(path), path), read_folder_state(path)
    if normalize and config.model_type == "wav2vec2-bert":
        raise CheckpointError(f"{path} normalizes its own mel features; leave `normalize` out")
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
        build_encoder(config, state, book.layer, path, device=place, mel_stride=stride),
        torch.from_numpy(book.centroids.table).to(place),
        unit_spec=replace(book.unit_spec, deduplicated=deduplicate),
        normalize=trained_so if normalize is None else normalize,
        max_chunk_seconds=max_chunk_seconds,
    )


def _kmeans_file(kmeans: str | Path) -> Path:
    path = Path(orality.fetch(str(kmeans)))
    if path.is_file():
        return path
    found = sorted(p for p in path.glob("*") if p.suffix in {".bin", ".npy", ".pt", ".safetensors"})
    if len(found) != 1:
        raise CheckpointError(f"{path} holds {len(found)} k-means files; name one of them")
    return found[0]


def _device(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(device)

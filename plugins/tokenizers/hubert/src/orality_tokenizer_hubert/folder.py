"""What is known of a checkpoint before its weights are read: files, units, layer. No torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import orality.checkpoints
from orality import CheckpointError, UnitSpec
from orality.checkpoints import TWIST_UNITS, read_json, read_unit_spec
from orality_tokenizer_hubert.centroids import Centroids, read_centroids

SAMPLE_RATE = 16_000
MODEL_TYPES = ("hubert", "wavlm", "wav2vec2", "wav2vec2-bert")
MEL_HOP = 160  # samples: w2v-BERT hears mel frames, 100 a second
PREPROCESSOR = "preprocessor_config.json"
MHUBERT = "mhubert-base-25hz"
MHUBERT_KMEANS = "mhubert-base-25hz-l11-km500"


@dataclass(frozen=True, slots=True, eq=False)
class Codebook:
    """Centroids over `hidden_states[layer]`, and what their units are called."""

    centroids: Centroids
    layer: int
    unit_spec: UnitSpec


def find_checkpoint(checkpoint: str) -> Path | None:
    """The local folder or file of a checkpoint, or None when it would have to be fetched."""
    return orality.checkpoints.find_checkpoint(
        checkpoint,
        shipped=Path(__file__).parent,
        wants="'tiny', a transformers folder, a fairseq .pt file",
        files=(".pt",),
    )


def describe(
    checkpoint: str,
    *,
    kmeans: str | None = None,
    layer: int | None = None,
    codebook: str | None = None,
    deduplicate: bool = True,
) -> UnitSpec | None:
    """The units a tokenizer would give, from small local files; None when those are not at hand."""
    path = find_checkpoint(checkpoint)
    if path is None:
        published = Path(checkpoint).name == MHUBERT and kmeans in (None, MHUBERT_KMEANS)
        if not published or layer not in (None, 11):
            return None
        return replace(
            TWIST_UNITS, codebook=codebook or TWIST_UNITS.codebook, deduplicated=deduplicate
        )
    if kmeans is not None and not Path(kmeans).expanduser().exists():
        return None
    rate = None if path.is_file() else stated_frame_rate(path)
    if rate is None:
        if not _is_mhubert(path):
            return None
        rate = TWIST_UNITS.frame_rate
    spec = read_codebook(path, rate, kmeans=kmeans, layer=layer, codebook=codebook).unit_spec
    return replace(spec, deduplicated=deduplicate)


def read_codebook(
    path: Path,
    frame_rate: float,
    *,
    kmeans: str | Path | None = None,
    layer: int | None = None,
    codebook: str | None = None,
) -> Codebook:
    """The k-means of a checkpoint and its units; `units.json` counts for the folder's own k-means.

    Raises CheckpointError when there is no k-means, no layer, or units.json belongs to others.
    """
    own = path / "kmeans.safetensors"
    if kmeans is None and not own.is_file():
        raise CheckpointError(
            f"{path} has no kmeans.safetensors of its own; name a file by `kmeans`"
        )
    centroids = read_centroids(Path(kmeans).expanduser() if kmeans is not None else own)
    stated = layer if layer is not None else centroids.layer
    if stated is None:
        raise CheckpointError("the k-means does not say which layer it is over; set `layer`")
    if kmeans is None and (path / "units.json").is_file() and stated == centroids.layer:
        spec = read_unit_spec(path, codebook)
        if spec.vocab_size != len(centroids.table) or spec.fingerprint not in (
            None,
            centroids.fingerprint,
        ):
            raise CheckpointError(f"{path / 'units.json'} does not belong to the k-means beside it")
        return Codebook(centroids, stated, spec)
    family = MHUBERT if _is_mhubert(path) else path.stem
    spec = UnitSpec(
        codebook=codebook or f"{family}/l{stated}/km{len(centroids.table)}",
        vocab_size=len(centroids.table),
        frame_rate=frame_rate,
        fingerprint=centroids.fingerprint,
    )
    return Codebook(centroids, stated, spec)


def read_config(path: Path) -> dict[str, Any]:
    """config.json of a transformers folder; CheckpointError when it is no known encoder's."""
    config = read_json(path / "config.json")
    if config.get("model_type") not in MODEL_TYPES:
        raise CheckpointError(
            f"{path / 'config.json'} describes a {config.get('model_type')!r} model; "
            f"`hubert` wants one of {', '.join(MODEL_TYPES)}"
        )
    return config


def stated_frame_rate(path: Path) -> float:
    """Frames per second of a transformers folder, from its strides."""
    config = read_config(path)
    if config["model_type"] == "wav2vec2-bert":
        return SAMPLE_RATE / (MEL_HOP * mel_stride(path))
    strides = config.get("conv_stride", [5, 2, 2, 2, 2, 2, 2])
    if not isinstance(strides, list) or not all(type(s) is int and s > 0 for s in strides):
        raise CheckpointError(f"{path / 'config.json'}: conv_stride is {strides!r}, not numbers")
    return SAMPLE_RATE / prod(strides)


def mel_stride(path: Path) -> int:
    """Mel frames per frame of w2v-BERT: what preprocessor_config.json says, or 2."""
    stride = _preprocessor(path).get("stride", 2)
    if type(stride) is not int or stride < 1:
        raise CheckpointError(f"{path / PREPROCESSOR}: stride is {stride!r}, not a number")
    return stride


def wants_normalized(path: Path) -> bool:
    """Whether a folder's encoder was trained on recordings of zero mean and unit variance.

    What preprocessor_config.json says counts for the encoders with a norm in every convolution, the
    large ones. The base models' files say so too, but fairseq trained them without, and the
    published units are made without.
    """
    config = read_config(path)
    if config.get("feat_extract_norm") != "layer" or config["model_type"] == "wav2vec2-bert":
        return False
    return _preprocessor(path).get("do_normalize", False) is True


def receptive_field(kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Samples that one frame sees: the shortest recording that has a unit (720 at 25 Hz)."""
    field = hop = 1
    for kernel, stride in zip(kernels, strides, strict=True):
        field += (kernel - 1) * hop
        hop *= stride
    return field


def _preprocessor(path: Path) -> dict[str, Any]:
    file = path / PREPROCESSOR
    return read_json(file) if file.is_file() else {}


def _is_mhubert(path: Path) -> bool:
    return re.search(r"mhubert[-_]base[-_]25hz", str(path).lower()) is not None

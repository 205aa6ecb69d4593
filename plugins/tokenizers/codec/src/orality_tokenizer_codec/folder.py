"""What a codec's config.json says of its units, read without torch and without any weight."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orality.checkpoints
from orality import CheckpointError, UnitSpec
from orality.checkpoints import read_json

FAMILIES = ("encodec", "mimi", "dac")
# what transformers assumes where a config.json is silent
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "encodec": {
        "sampling_rate": 24_000,
        "codebook_size": 1024,
        "upsampling_ratios": [8, 5, 4, 2],
        "target_bandwidths": [1.5, 3.0, 6.0, 12.0, 24.0],
    },
    "mimi": {
        "sampling_rate": 24_000,
        "codebook_size": 2048,
        "upsampling_ratios": [8, 6, 5, 4],
        "num_quantizers": 32,
        "num_semantic_quantizers": 1,
    },
    "dac": {
        "sampling_rate": 16_000,
        "codebook_size": 1024,
        "downsampling_ratios": [2, 4, 8, 8],
        "n_codebooks": 9,
    },
}


@dataclass(frozen=True, slots=True)
class Folder:
    """A codec folder's own account. `hop`: samples per frame. `bandwidth`: the one of EnCodec's, in
    kbit/s, that gives the codebooks asked for, or the next higher; None for the other families."""

    path: Path
    family: str
    sample_rate: int
    hop: int
    unit_spec: UnitSpec
    bandwidth: float | None = None


def find_folder(checkpoint: str) -> Path | None:
    """The local folder of a checkpoint, or None when it would have to be fetched."""
    return orality.checkpoints.find_checkpoint(
        checkpoint,
        shipped=Path(__file__).parent,
        wants="a transformers folder of EnCodec, Mimi or DAC",
    )


def read_folder(
    path: Path,
    *,
    num_codebooks: int | None = None,
    bandwidth: float | None = None,
    codebook: str | None = None,
) -> Folder:
    """Read config.json; raises CheckpointError when it is no codec's, when its codes alone cannot
    be decoded (loudness beside them, overlapping chunks, stereo), or for codebooks it lacks."""
    source = path / "config.json"
    stated = read_json(source)
    family = stated.get("model_type")
    if family not in FAMILIES:
        raise CheckpointError(
            f"{source} describes a {family!r} model; `codec` wants one of {', '.join(FAMILIES)}"
        )
    _check_codes_suffice(stated, source)
    config = {**_DEFAULTS[family], **{k: v for k, v in stated.items() if v is not None}}
    sample_rate = _positive(config, "sampling_rate", source)
    size = _positive(config, "codebook_size", source)
    hop = _hop(family, config, sample_rate, source)
    bandwidths = _bandwidths(config, math.ceil(sample_rate / hop), size, source)
    if bandwidth is not None:
        num_codebooks = _from_bandwidth(bandwidth, bandwidths, num_codebooks, source)
    most = _most_codebooks(family, config, bandwidths, source)
    number = most if num_codebooks is None else num_codebooks
    least = _positive(config, "num_semantic_quantizers", source) if family == "mimi" else 1
    if not least <= number <= most:
        raise CheckpointError(f"{path} has {least} to {most} codebooks to choose, not {number}")
    return Folder(
        path=path,
        family=family,
        sample_rate=sample_rate,
        hop=hop,
        unit_spec=UnitSpec(
            codebook=f"{codebook or _name(path)}/{number}x{size}",
            vocab_size=size,
            frame_rate=sample_rate / hop,
            num_codebooks=number,
            deduplicated=False,
        ),
        bandwidth=next((kbps for kbps, count in bandwidths if count >= number), None),
    )


def _check_codes_suffice(config: Mapping[str, Any], source: Path) -> None:
    for key, plain, why in (
        ("audio_channels", 1, "speech here is mono"),
        ("normalize", False, "its codes want a loudness beside them, which units do not carry"),
        ("chunk_length_s", None, "its codes are of overlapping chunks, which units do not mark"),
    ):
        if config.get(key, plain) != plain:
            raise CheckpointError(
                f"{source}: {key} is {config[key]!r}; {why}; use a mono codec such as the 24 kHz "
                "or 32 kHz EnCodec"
            )


def _hop(family: str, config: Mapping[str, Any], sample_rate: int, source: Path) -> int:
    key = "downsampling_ratios" if family == "dac" else "upsampling_ratios"
    ratios = config[key]
    if not isinstance(ratios, list) or not ratios or not all(type(r) is int for r in ratios):
        raise CheckpointError(f"{source}: {key} is {ratios!r}, wanted a list of integers")
    hop = math.prod(ratios)
    if hop < 1:
        raise CheckpointError(f"{source}: {key} is {ratios!r}, wanted positive numbers")
    if family == "mimi":
        inner = math.ceil(sample_rate / hop)
        rate = config.get("frame_rate", sample_rate / (2 * hop))
        if not isinstance(rate, int | float) or not 0 < rate < inner:
            raise CheckpointError(f"{source}: frame_rate is {rate!r}, wanted less than {inner}")
        hop *= int(inner / rate)
    return hop


def _bandwidths(
    config: Mapping[str, Any], frame_rate: int, size: int, source: Path
) -> list[tuple[float, int]]:
    """EnCodec's bandwidths in kbit/s with the codebooks each buys, ascending; else none."""
    stated = config.get("target_bandwidths", [])
    if not isinstance(stated, list) or not all(isinstance(b, int | float) for b in stated):
        raise CheckpointError(f"{source}: target_bandwidths is {stated!r}, wanted numbers")
    bits = math.log2(size) * frame_rate
    return [(kbps, max(1, math.floor(kbps * 1000 / bits))) for kbps in sorted(stated)]


def _from_bandwidth(
    bandwidth: float, known: list[tuple[float, int]], number: int | None, source: Path
) -> int:
    if number is not None:
        raise CheckpointError("set either `num_codebooks` or `bandwidth`; they say the same")
    counts = dict(known)
    if bandwidth not in counts:
        offered = ", ".join(f"{kbps:g}" for kbps in counts) or "none; set `num_codebooks`"
        raise CheckpointError(f"{source}: got bandwidth {bandwidth:g}, it offers {offered}")
    return counts[bandwidth]


def _most_codebooks(
    family: str, config: Mapping[str, Any], bandwidths: list[tuple[float, int]], source: Path
) -> int:
    if family != "encodec":
        return _positive(config, "n_codebooks" if family == "dac" else "num_quantizers", source)
    if not bandwidths:
        raise CheckpointError(f"{source}: target_bandwidths is empty, wanted at least one")
    return bandwidths[-1][1]


def _positive(config: Mapping[str, Any], key: str, source: Path) -> int:
    value = config[key]
    if type(value) is not int or value < 1:
        raise CheckpointError(f"{source}: {key} is {value!r}, wanted a positive integer")
    return value


def _name(path: Path) -> str:
    path = path.expanduser().resolve()
    if path.parent.name == "snapshots":  # the hub's cache: models--OWNER--NAME/snapshots/COMMIT
        return path.parent.parent.name.split("--")[-1]
    return path.name

"""What a vocoder folder says about itself, read without torch: config.json and units.json."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orality import CheckpointError, UnitSpec
from orality.checkpoints import (
    TWIST_UNITS,
    find_checkpoint,
    published_units,
    read_json,
    read_unit_spec,
)

DEFAULT_SPEAKERS = 200  # what the original code assumes where the config is silent
DEFAULT_STYLES = 100


@dataclass(frozen=True, slots=True)
class Folder:
    """A vocoder folder's own account. `speakers`, `styles`: 0 where it has no such embedding."""

    path: Path
    config: dict[str, Any]
    unit_spec: UnitSpec
    hop: int
    sample_rate: int
    speakers: int
    styles: int

    @property
    def durations(self) -> dict[str, Any] | None:
        """The duration predictor's sizes, or None when there is no predictor."""
        found = self.config.get("dur_predictor_params")
        return found if isinstance(found, dict) and found else None


def find_folder(checkpoint: str) -> Path | None:
    """The local folder of a checkpoint, or None when it would have to be fetched."""
    return find_checkpoint(
        checkpoint,
        shipped=Path(__file__).parent,
        wants="'tiny', a folder with config.json and generator.pt or generator.safetensors",
    )


def named_units(checkpoint: str, codebook: str | None) -> UnitSpec | None:
    """The units of a vocoder that is not at hand, where its name alone tells."""
    if codebook is None and "mhubert-base-25hz" not in checkpoint.lower():
        return None
    return published_units(codebook)


def read_folder(path: Path, codebook: str | None = None) -> Folder:
    """Read config.json (and units.json); raises CheckpointError when something essential is
    missing, contradictory, or beyond this reader (pitch codes, projected speaker embeddings)."""
    source = path / "config.json"
    config = read_json(source)
    if config.get("f0"):
        raise CheckpointError(
            f"{source}: this vocoder wants pitch codes beside the units (f0), which units do not "
            "carry; use one that was trained without"
        )
    if config.get("embedder_params"):
        raise CheckpointError(
            f"{source}: speakers are given as vectors (embedder_params); only speaker tables "
            "(multispkr with num_speakers) are supported"
        )
    rates = _integers(config, "upsample_rates", source)
    hop = math.prod(rates)
    if config.get("code_hop_size", hop) != hop:
        raise CheckpointError(
            f"{source}: code_hop_size is {config['code_hop_size']}, but upsample_rates multiply "
            f"to {hop}"
        )
    sample_rate = _integer(config, "sampling_rate", source, 16_000)
    size = _integer(config, "num_embeddings", source)
    units = _unit_spec(
        path, codebook, size, sample_rate / hop, bool(config.get("dur_predictor_params"))
    )
    if units.vocab_size > size:
        raise CheckpointError(
            f"{path}: units.json counts {units.vocab_size} units, config.json {size} embeddings"
        )
    return Folder(
        path=path,
        config=config,
        unit_spec=units,
        hop=hop,
        sample_rate=sample_rate,
        speakers=_rows(config, "multispkr", "num_speakers", DEFAULT_SPEAKERS, source),
        styles=_rows(config, "multistyle", "num_styles", DEFAULT_STYLES, source),
    )


def _unit_spec(
    path: Path, codebook: str | None, size: int, frame_rate: float, deduplicated: bool
) -> UnitSpec:
    """As units.json states; else as configured, TWIST's where the numbers fit, or unnamed."""
    if (path / "units.json").is_file():
        return read_unit_spec(path, codebook)
    like_twist = (size, frame_rate) == (TWIST_UNITS.vocab_size, TWIST_UNITS.frame_rate)
    name = codebook or (TWIST_UNITS.codebook if like_twist else f"unnamed/km{size}")
    return UnitSpec(name, size, frame_rate, deduplicated=deduplicated)


def _rows(config: dict[str, Any], switch: str, key: str, default: int, source: Path) -> int:
    return _integer(config, key, source, default) if config.get(switch) else 0


def _integer(config: dict[str, Any], key: str, source: Path, default: int | None = None) -> int:
    value = config.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise CheckpointError(f"{source}: {key} is {value!r}, wanted a positive integer")
    return value


def _integers(config: dict[str, Any], key: str, source: Path) -> list[int]:
    values = config.get(key)
    if not isinstance(values, list) or not values or not all(type(v) is int for v in values):
        raise CheckpointError(f"{source}: {key} is {values!r}, wanted a list of integers")
    return values

"""What a vocoder folder says about itself, read without torch: config.json and units.json."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
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
DEFAULT_WIDTH = 256


@dataclass(frozen=True, slots=True)
class Folder:
    """A vocoder folder's own account.

    `speakers`, `styles`: rows of these tables, 0 where there is none. `speaker_width`: length of
    the vectors that stand for speakers instead of a table, else 0. `wants_f0`: it reads the pitch
    beside the units, in `f0_bins` classes, or as a plain number where that is 0.
    """

    path: Path
    config: dict[str, Any]
    unit_spec: UnitSpec
    hop: int
    sample_rate: int
    speakers: int
    styles: int
    speaker_width: int
    wants_f0: bool
    f0_bins: int

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


def read_folder(path: Path, codebook: str | None = None, *, f0: float | None = None) -> Folder:
    """Read config.json (and units.json). `f0`: the pitch at which to speak units that carry none;
    without it, units of a vocoder that reads pitch classes have two codebooks.

    Raises CheckpointError when something essential is missing or contradictory, or a vocoder wants
    pitch as a number, which units cannot carry, and no `f0` is given.
    """
    source = path / "config.json"
    config = read_json(source)
    wants_f0 = bool(config.get("f0"))
    f0_bins = config.get("f0_quant_num_bin") or 0
    if wants_f0:
        _check_f0(source, f0_bins, f0)
    elif f0 is not None:
        raise CheckpointError(f"{source}: this vocoder reads no pitch; leave the option f0 out")
    vectors = bool(config.get("embedder_params"))
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
    if wants_f0 and f0 is None:
        units = replace(units, num_codebooks=2, deduplicated=False)
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
        speakers=0
        if vectors
        else _rows(config, "multispkr", "num_speakers", DEFAULT_SPEAKERS, source),
        styles=_rows(config, "multistyle", "num_styles", DEFAULT_STYLES, source),
        speaker_width=_integer(config, "embedder_dim", source, DEFAULT_WIDTH) if vectors else 0,
        wants_f0=wants_f0,
        f0_bins=f0_bins,
    )


def _check_f0(source: Path, bins: object, f0: float | None) -> None:
    if not isinstance(bins, int) or isinstance(bins, bool) or bins < 0:
        raise CheckpointError(f"{source}: f0_quant_num_bin is {bins!r}, wanted 0 or more classes")
    if not bins and f0 is None:
        raise CheckpointError(
            f"{source}: this vocoder reads pitch as a number beside the units (f0), which units "
            "do not carry; set the option f0 to the value to speak at"
        )
    if bins and f0 is not None and (f0 != int(f0) or not 0 <= f0 < bins):
        raise CheckpointError(
            f"{source}: f0 is {f0}, this vocoder knows the pitch classes 0 to {bins - 1}"
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

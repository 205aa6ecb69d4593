"""What a vocoder folder says about itself, read without torch: config.json and units.json."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orality import CheckpointError, UnitSpec

TWIST_CODEBOOK = "mhubert-base-25hz/l11/km500"
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
    shipped = Path(__file__).parent / checkpoint
    if re.fullmatch(r"[\w-]+", checkpoint) and (shipped / "config.json").is_file():
        return shipped
    path = Path(checkpoint).expanduser()
    if path.is_dir():
        return path
    if path.exists() or len(path.parts) > 2 or path.is_absolute() or checkpoint.startswith("."):
        raise CheckpointError(
            f"{checkpoint} is no folder; `checkpoint` wants 'tiny', a folder with config.json and "
            "generator.pt or generator.safetensors, or a name that orality.fetch knows"
        )
    return None


def published_units(checkpoint: str, codebook: str | None) -> UnitSpec | None:
    """The units of a vocoder that is not at hand, where its name alone tells."""
    if codebook is None and "mhubert-base-25hz" not in checkpoint.lower():
        return None
    name = codebook or TWIST_CODEBOOK
    match = re.search(r"km(\d+)$", name)
    return UnitSpec(codebook=name, vocab_size=int(match[1]), frame_rate=25.0) if match else None


def read_folder(path: Path, codebook: str | None = None) -> Folder:
    """Read config.json (and units.json); raises CheckpointError when something essential is
    missing, contradictory, or beyond this reader (pitch codes, projected speaker embeddings)."""
    source = path / "config.json"
    config = _json(source)
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
    stated = path / "units.json"
    if stated.is_file():
        try:
            spec = UnitSpec(**_json(stated))
        except TypeError as error:
            raise CheckpointError(f"{stated} is no unit description: {error}") from error
        if codebook not in (None, spec.codebook):
            raise CheckpointError(
                f"{path} is over {spec.codebook!r}, not {codebook!r} as configured"
            )
        return spec
    like_twist = size == 500 and frame_rate == 25.0
    name = codebook or (TWIST_CODEBOOK if like_twist else f"unnamed/km{size}")
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


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not an object")
    return content

"""What a model folder says about itself, read without torch: config.json and units.json."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orality import CheckpointError, UnitSpec
from orality.checkpoints import (
    TWIST_UNITS,
    codebook_size,
    find_checkpoint,
    published_units,
    read_json,
    read_unit_spec,
)
from orality.weights import small_files
from orality_slm_twist.others import refuse_others

SLAMKIT = "speech_language_model"  # model_type of slamkit's UnitLM
_SLAMKIT_OFFSET = 2  # 0 pads, 1 begins and ends
_LENGTHS = ("max_position_embeddings", "n_positions", "max_seq_len", "n_ctx")


@dataclass(frozen=True, slots=True)
class Folder:
    """A model folder's own account: token id = unit id + `offset`.

    `bos`, `eos`: token ids outside the units' range, or None where the model has none.
    """

    path: Path
    config: dict[str, Any]
    unit_spec: UnitSpec
    states_units: bool
    offset: int
    vocab_size: int
    bos: int | None
    eos: int | None
    context_length: int | None

    @property
    def is_slamkit(self) -> bool:
        """Whether slamkit wrote it (weights under `lm.`, the base model's config nested)."""
        return bool(self.config.get("model_type") == SLAMKIT)


def find_folder(checkpoint: str) -> Path | None:
    """The local folder or zip file of a checkpoint, or None when it would have to be fetched."""
    path = Path(checkpoint).expanduser()
    if path.suffix.lower() == ".zip" and path.is_file():
        return path
    return find_checkpoint(
        checkpoint,
        shipped=Path(__file__).parent,
        wants="'tiny', a folder with config.json, such a folder's zip file",
    )


def named_units(checkpoint: str, codebook: str | None) -> UnitSpec | None:
    """The units of a model that is not at hand, where its name alone tells."""
    if codebook is None and not Path(checkpoint).name.lower().startswith("twist"):
        return None
    return published_units(codebook)


def read_folder(path: Path, codebook: str | None = None, offset: int | None = None) -> Folder:
    """Read config.json (and units.json) of a folder or a zip file.

    `offset`: for a folder that does not state it. Raises CheckpointError when these do not fit
    together or describe something else than a causal language model over units.
    """
    if path.is_dir():
        return _read(path, codebook, offset)
    with small_files(path, "config.json", "units.json") as folder:
        try:
            return replace(_read(folder, codebook, offset), path=path)
        except CheckpointError as error:
            raise CheckpointError(str(error).replace(str(folder), str(path))) from error


def _read(path: Path, codebook: str | None, offset: int | None) -> Folder:
    config = read_json(path / "config.json")
    slamkit = config.get("model_type") == SLAMKIT
    base = _base_config(path, config) if slamkit else config
    refuse_others(path, base)
    offset = _offset(path, config, offset)
    vocab_size = _integer(config, "vocab_size", path)
    room = vocab_size - offset
    if offset < 0 or room < 1:
        raise CheckpointError(
            f"{path / 'config.json'}: offset {offset} leaves no unit in a vocabulary of "
            f"{vocab_size} tokens"
        )
    states_units = (path / "units.json").is_file()
    spec = read_unit_spec(path, codebook) if states_units else _guessed_spec(room, codebook)
    if spec.vocab_size > room:
        raise CheckpointError(
            f"{path}: the codebook {spec.codebook!r} has {spec.vocab_size} units, but the "
            f"vocabulary of {vocab_size} tokens with offset {offset} holds {room}"
        )
    units = range(offset, offset + spec.vocab_size)
    special = {"bos_token_id": 1, "eos_token_id": 1} if slamkit else config
    lengths = [base.get(key) for key in _LENGTHS]
    return Folder(
        path=path,
        config=config,
        unit_spec=spec,
        states_units=states_units,
        offset=offset,
        vocab_size=vocab_size,
        bos=_special(special.get("bos_token_id"), units, vocab_size),
        eos=_special(special.get("eos_token_id"), units, vocab_size),
        context_length=next((n for n in lengths if isinstance(n, int) and n > 0), None),
    )


def _offset(path: Path, config: dict[str, Any], configured: int | None) -> int:
    """What the folder states, and what is configured where it states nothing."""
    stated: int | None = None
    if config.get("model_type") == SLAMKIT:
        stated = _SLAMKIT_OFFSET
    elif "offset" in config:
        stated = _integer(config, "offset", path)
    if stated is None and configured is None:
        raise CheckpointError(
            f"{path / 'config.json'} has no 'offset'; a TWIST folder states there how far unit ids "
            "are shifted (token id = unit id + offset): set the option `offset` if you know it"
        )
    if None not in (stated, configured) and stated != configured:
        raise CheckpointError(
            f"{path / 'config.json'}: the offset is {stated}, not {configured} as configured"
        )
    return stated if stated is not None else int(configured or 0)


def _base_config(path: Path, config: dict[str, Any]) -> dict[str, Any]:
    """slamkit's nested config: the only account of the architecture that needs no hub."""
    base = config.get("base_config")
    if not isinstance(base, dict) or not isinstance(base.get("model_type"), str):
        raise CheckpointError(
            f"{path / 'config.json'}: base_config names no model_type, so the architecture is "
            f"unknown (its base model was {config.get('base_model_name')!r})"
        )
    if config.get("auto_map"):
        base = {**base, "auto_map": config["auto_map"]}
    return base


def _guessed_spec(room: int, codebook: str | None) -> UnitSpec:
    """Units of a folder that does not state them: as configured, else TWIST's, else unnamed."""
    name = codebook or (TWIST_UNITS.codebook if room >= 500 else f"unnamed/km{room}")
    return UnitSpec(codebook=name, vocab_size=codebook_size(name) or room, frame_rate=25.0)


def _special(value: Any, units: range, vocab_size: int) -> int | None:
    """A special token's id, unless it is missing, outside the vocabulary, or in truth a unit."""
    if isinstance(value, list):
        value = value[0] if value else None
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    if not 0 <= value < vocab_size or value in units:
        return None
    return value


def _integer(config: dict[str, Any], key: str, path: Path) -> int:
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise CheckpointError(f"{path / 'config.json'}: {key} is {value!r}, not an integer")
    return value

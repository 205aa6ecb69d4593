"""What is known of a checkpoint before its weights are read: where it lies, what its units are.

For plugins: nothing here imports torch or fetches anything, so `describe` may call all of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orality.errors import CheckpointError
from orality.types import UnitSpec
from orality.untrusted import documents

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "TWIST_UNITS",
    "check_loaded",
    "check_size",
    "codebook_size",
    "find_checkpoint",
    "note_checkpoint",
    "published_units",
    "read_array",
    "read_json",
    "read_unit_spec",
]

TWIST_UNITS = UnitSpec(codebook="mhubert-base-25hz/l11/km500", vocab_size=500, frame_rate=25.0)
"""The published 25 Hz units of TWIST, which Align-SLM and most open models since speak."""


def find_checkpoint(
    checkpoint: str, *, shipped: Path, wants: str, files: tuple[str, ...] = ()
) -> Path | None:
    """Where a checkpoint lies on this machine, or None for a name that `orality.fetch` is to know.

    A bare name is looked for in `shipped` first, the folder of the plugin's own checkpoints; all
    else is a path. `files`: suffixes of the single files that are checkpoints too (`.pt`), if any.
    Raises CheckpointError, which lists what the plugin `wants`, for a path that leads nowhere.
    """
    own = shipped / checkpoint
    if re.fullmatch(r"[\w-]+", checkpoint) and (own / "config.json").is_file():
        return note_checkpoint(own)
    if "://" in checkpoint:
        return None
    path = Path(checkpoint).expanduser()
    if path.is_dir() or (files and path.exists()):
        return note_checkpoint(path)
    # What fetch knows, but for addresses, are bare names and OWNER/NAME.
    looks_like_a_path = (
        path.is_absolute()
        or len(path.parts) > 2
        or checkpoint.startswith(".")
        or path.suffix in files
    )
    if path.exists() or looks_like_a_path:
        raise CheckpointError(
            f"{checkpoint} {'does not exist' if files else 'is no folder'}; `checkpoint` wants "
            f"{wants}, or a name that orality.fetch knows"
        )
    return None


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object; CheckpointError when it is missing or anything else."""
    content = documents.read_json(path, CheckpointError)
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not an object")
    return content


def check_loaded(where: str | Path, report: Mapping[str, Any]) -> None:
    """CheckpointError that names the tensors which a checkpoint lacks, has too many of, or has in
    other shapes; `report`: what transformers returns with `output_loading_info`."""
    problems = []
    for what, key in (
        ("lacks", "missing_keys"),
        ("has unknown tensors", "unexpected_keys"),
        ("has other shapes of", "mismatched_keys"),
    ):
        names = sorted(str(n[0] if isinstance(n, tuple) else n) for n in report.get(key) or ())
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            problems.append(f"{what} {', '.join(names[:3])}{more}")
    if problems:
        raise CheckpointError(f"{where} does not hold this model: it {'; it '.join(problems)}")


def check_size(where: str | Path, *, wanted: int, held: int) -> None:
    """CheckpointError where a config asks for many more numbers than the weights hold.

    To be called with a model that was built on torch's device `meta`, before one is built that
    takes memory. `wanted`, `held`: parameters of the config's model and of the weights.
    """
    if wanted > 2 * held + 1_000_000:
        raise CheckpointError(
            f"{where}: its config.json describes a model of {wanted:,} parameters, and its weights "
            f"are {held:,}; they do not belong together"
        )


def read_array(path: Path) -> NDArray[Any]:
    """The array of a .npy file; CheckpointError when it is not whole or its header is wrong.

    The file is mapped first, so that a header never asks for more memory than the file has bytes.
    """
    import numpy as np

    try:
        return np.array(np.lib.format.open_memmap(path, mode="r"))
    except Exception as error:  # numpy parses the header as Python, which fails in many ways
        raise CheckpointError(f"{path} is not a plain array: {error}") from error


def read_unit_spec(folder: Path, codebook: str | None = None) -> UnitSpec:
    """The units that `folder/units.json` states, under the names of UnitSpec's fields.

    Raises CheckpointError when it does not state them, or another codebook than the configured one.
    """
    path = folder / "units.json"
    try:
        spec = UnitSpec(**read_json(path))
    except TypeError as error:
        raise CheckpointError(f"{path} is no unit description: {error}") from error
    if codebook not in (None, spec.codebook):
        raise CheckpointError(f"{folder} is over {spec.codebook!r}, not {codebook!r} as configured")
    return spec


def codebook_size(codebook: str) -> int | None:
    """How many units a codebook has by its name (`.../km500`), or None when that does not tell."""
    stated = re.search(r"km(\d+)$", codebook)
    return int(stated[1]) if stated else None


def published_units(codebook: str | None = None) -> UnitSpec | None:
    """The units of a checkpoint that is not at hand, at 25 Hz; None when `codebook` has no size.

    `codebook`: as configured; without one, the published units of TWIST.
    """
    name = codebook or TWIST_UNITS.codebook
    size = codebook_size(name)
    return None if size is None else replace(TWIST_UNITS, codebook=name, vocab_size=size)


_listening: ContextVar[list[Path] | None] = ContextVar("listening", default=None)


def note_checkpoint(path: Path) -> Path:
    """Say that the component being built reads this file or folder; returns `path`.

    Only a plugin that finds its weights without `find_checkpoint` and `orality.fetch` needs it.
    """
    paths = _listening.get()
    if paths is not None and path not in paths:
        paths.append(path)
    return path


@contextmanager
def noted_checkpoints() -> Iterator[list[Path]]:
    """The checkpoints that are noted while the block lasts, in this thread, each once."""
    paths: list[Path] = []
    token = _listening.set(paths)
    try:
        yield paths
    finally:
        _listening.reset(token)

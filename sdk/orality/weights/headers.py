"""What a safetensors file says it holds: read from its header, before any tensor is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orality.errors import CheckpointError

Shapes = dict[str, tuple[int, ...]]


def tensor_shapes(file: Path) -> Shapes:
    """The shape of every tensor in a safetensors file, by name.

    Raises CheckpointError, with the file's name, for a file that is missing, cut or damaged.
    """
    from safetensors import safe_open

    try:
        with safe_open(file, framework="np") as held:
            return {name: tuple(held.get_slice(name).get_shape()) for name in held.keys()}  # noqa: SIM118
    except Exception as error:  # SafetensorError is no OSError, and others come with it
        reason = str(error) or type(error).__name__
        raise CheckpointError(f"{file} is cut, damaged or no safetensors file: {reason}") from error


def refuse_misfits(
    what: str,
    *,
    held: Mapping[str, tuple[int, ...]],
    wanted: Mapping[str, tuple[int, ...]],
) -> None:
    """Raise CheckpointError, which names them, unless the tensors held are those wanted.

    `what`: how the message begins (`the adapter A does not fit this model`).
    """
    problems = {
        "lacks": sorted(set(wanted) - set(held)),
        "has tensors for which the model has no place:": sorted(set(held) - set(wanted)),
        "has tensors of another shape:": [
            f"{name} {held[name]} for {wanted[name]}"
            for name in sorted(set(held) & set(wanted))
            if held[name] != wanted[name]
        ],
    }
    found = [f"{verb} {_shown(names)}" for verb, names in problems.items() if names]
    if found:
        raise CheckpointError(
            f"{what}: it {'; it '.join(found)}; is it whole, and made for this model?"
        )


def _shown(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")

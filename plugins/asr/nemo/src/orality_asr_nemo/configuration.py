"""What a NeMo configuration may ask for: it names the classes that get built, so it is code."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orality import CheckpointError
from orality.untrusted.documents import read_yaml

_ROOTS = ("nemo.collections.", "nemo.core.", "torch.nn.", "torch.optim.", "torchmetrics.")
_FUNCTIONS = frozenset({"nemo.collections.asr.modules.transformer.get_nemo_transformer"})
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
# ${path.to.value} and NeMo's own arithmetic; all other resolvers read the environment or build.
_INTERPOLATION = re.compile(r"\$\{(?:\s*\.*[\w.\[\]-]+\s*|(?:multiply|sum|gpu_name):[^${}]*)\}")


def check_configuration(path: Path) -> None:
    """Refuse a YAML file that would make NeMo build, read or run anything but NeMo's own classes.

    Raises CheckpointError, naming key and value: for tags beyond plain YAML (`!!python/...`), for
    a `_target_` outside NeMo's and torch's modules, for resolvers, and for remote code.
    """
    for key, value in _entries(path):
        if isinstance(value, str):
            _check_text(path, key, value)
        elif key in ("_target_", "trust_remote_code") and value not in (None, False):
            raise CheckpointError(f"{path.name}: {key} is {value!r}; refused")


def _check_text(path: Path, key: str, value: str) -> None:
    is_class = key in ("target", "cls") and _DOTTED.fullmatch(value)
    if (key == "_target_" or is_class) and not _is_allowed(value):
        raise CheckpointError(
            f"{path.name}: {key} asks for {value!r}; a speech model is built from classes of "
            f"NeMo and torch ({', '.join(root + '*' for root in _ROOTS)}) only"
        )
    if key == "trust_remote_code" and value.lower() != "false":
        raise CheckpointError(f"{path.name}: trust_remote_code is {value!r}; refused")
    artifact = value.removeprefix("nemo:").removeprefix("./")
    if value.startswith("nemo:") and ("/" in artifact or ".." in artifact):
        raise CheckpointError(f"{path.name}: {key} leads out of the archive with {value!r}")
    if "${" in value and "${" in _without_interpolations(value):
        raise CheckpointError(
            f"{path.name}: {key} has the interpolation {value!r}; only ${{references}} are read"
        )


def _is_allowed(target: str) -> bool:
    """A class by its public path; a module on the way to it that is Python's own is a detour."""
    if target in _FUNCTIONS:
        return True
    if not target.startswith(_ROOTS) or not _DOTTED.fullmatch(target):
        return False
    # The roots are two names long, of which `collections` is NeMo's own.
    *modules, name = target.split(".")[2:]
    return name[0].isupper() and not set(modules) & sys.stdlib_module_names


def _without_interpolations(value: str) -> str:
    """The text with everything removed that is harmless, from the inside out."""
    while (shorter := _INTERPOLATION.sub("", value)) != value:
        value = shorter
    return value


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    """Every key with its value, at any depth; list items come under their list's key."""
    content = read_yaml(path, CheckpointError)
    if not isinstance(content, dict):
        raise CheckpointError(f"{path.name} holds no configuration")
    left: list[tuple[str, Any]] = [("", content)]
    while left:
        key, value = left.pop()
        if isinstance(value, dict):
            left += [(str(name), item) for name, item in value.items()]
        elif isinstance(value, list):
            left += [(key, item) for item in value]
        yield key, value

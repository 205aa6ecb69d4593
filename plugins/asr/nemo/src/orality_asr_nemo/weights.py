"""Weights that NeMo will unpickle must hold tensors and nothing that runs."""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from orality import CheckpointError

# What the pickle of a state dict is made of; torch itself has the last word on these.
_KNOWN = (
    "torch.", "torch ", "collections ", "numpy", "_codecs ", "__builtin__ set",
    "__builtin__ bytearray",
)  # fmt: skip
_PICKLES_IN_A_FILE = 5  # torch's old format: magic number, version, machine, objects, keys


def check_weights(path: Path) -> None:
    """Read a state dict as torch's restricted unpickler does, without keeping it.

    NeMo leaves the choice of unpickler to torch's default, which the environment can switch to
    the unrestricted one; what the restricted one reads is safe with either. Raises CheckpointError.
    """
    packed = zipfile.is_zipfile(path)
    if packed:
        try:
            with zipfile.ZipFile(path) as archive:
                kinds = {item.compress_type for item in archive.infolist()}
        except (zipfile.BadZipFile, NotImplementedError) as error:
            raise CheckpointError(f"{path.name} is damaged: {error}") from error
        if kinds != {zipfile.ZIP_STORED}:
            raise CheckpointError(f"{path.name} is compressed, which torch never does; refused")
    for name in _names(path):
        if not name.startswith(_KNOWN):
            raise CheckpointError(f"{path.name} asks for {name!r}, which is more than tensors")
    import torch

    try:
        # Mapped and without a device, so that nothing is copied.
        content: Any = torch.load(
            path, weights_only=True, mmap=packed or None, map_location="meta" if packed else "cpu"
        )
    except Exception as error:  # torch raises what its parts raise on foreign bytes
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"{path.name} cannot be read as plain weights: {reason}; it is damaged or holds more "
            "than tensors"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path.name} holds a {type(content).__name__}, not named tensors")


def _names(path: Path) -> Iterator[str]:
    """The classes and functions ("module name") that a first look finds, without torch.

    A look misses what is put together while unpickling, and stops at the first foreign byte; both
    are for torch to refuse.
    """
    with suppress(
        ValueError, EOFError, zipfile.BadZipFile, UnicodeDecodeError, NotImplementedError
    ):
        if not zipfile.is_zipfile(path):
            with path.open("rb") as file:
                for _ in range(_PICKLES_IN_A_FILE):
                    yield from _globals(file)
            return
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                if member.endswith(".pkl"):
                    with archive.open(member) as file:
                        yield from _globals(file)


def _globals(file: IO[bytes]) -> Iterator[str]:
    for operation, argument, _ in pickletools.genops(file):
        if operation.name == "GLOBAL":
            yield str(argument)

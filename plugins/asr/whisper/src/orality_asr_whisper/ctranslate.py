"""Read the variables of a CTranslate2 model file (`model.bin`, binary version 2 to 6)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orality import CheckpointError

_TYPES: dict[int, Any] = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_VERSIONS = range(2, 7)


@dataclass
class _Reader:
    data: memoryview
    position: int = 0

    def number(self, kind: str) -> int:
        size = struct.calcsize("<" + kind)
        return int(struct.unpack("<" + kind, self.block(size))[0])

    def block(self, size: int) -> memoryview:
        end = self.position + size
        if end > len(self.data):
            raise CheckpointError(f"the model file ends at byte {len(self.data)}, wanted {end}")
        block = self.data[self.position : end]
        self.position = end
        return block

    def text(self) -> str:
        """A length, that many bytes, the last of which is 0."""
        return bytes(self.block(self.number("H")))[:-1].decode()


def read_variables(path: Path) -> dict[str, NDArray[Any]]:
    """Every variable by name, as stored; aliases name the same array. CheckpointError if not CT2.

    Layout: version, specification name, revision, count, then for each variable its name, rank,
    dimensions, type, size and bytes; then the aliases.
    """
    reader = _Reader(memoryview(path.read_bytes()))
    version = reader.number("I")
    if version not in _VERSIONS:
        raise CheckpointError(f"{path} has the CTranslate2 binary version {version}, wanted 2 to 6")
    reader.text()  # name of the specification
    reader.number("I")  # its revision
    variables: dict[str, NDArray[Any]] = {}
    for _ in range(reader.number("I")):
        name = reader.text()
        shape = [reader.number("I") for _ in range(reader.number("B"))]
        kind = reader.number("B")
        if kind not in _TYPES:
            raise CheckpointError(f"{path}: variable {name} has the unknown type {kind}")
        block = reader.block(reader.number("I"))
        values = np.frombuffer(block, dtype=np.dtype(_TYPES[kind]))
        if values.size != int(np.prod(shape)):
            raise CheckpointError(f"{path}: {name} has {values.size} values, wanted {shape}")
        variables[name] = values.reshape(shape)
    for _ in range(reader.number("I")):
        alias, name = reader.text(), reader.text()
        variables[alias] = variables[name]
    return variables

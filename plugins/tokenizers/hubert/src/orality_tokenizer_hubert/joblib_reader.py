"""Centroids out of a joblib dump of a scikit-learn KMeans, without joblib, scikit-learn or trust.

joblib writes a pickle in which every array is a small wrapper object, followed by padding and the
array's raw bytes. This reader knows that wrapper, array types and numbers; a scikit-learn object
becomes an empty shell that only keeps attributes; any other name in the pickle is refused.
"""

from __future__ import annotations

import io
import math
import pickle
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from orality import CheckpointError

MAX_BYTES = 1 << 30


class _Shell:
    """Stands in for a scikit-learn object: keeps its attributes, has none of its code."""

    def __init__(self, *arguments: Any) -> None:
        self.attributes: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.attributes = state


class _Array(_Shell):
    """joblib's NumpyArrayWrapper: what follows it in the file are the array's bytes."""


class _ArrayKind(_Shell):
    """numpy.ndarray, named as the kind of array to make; never called."""


class _Number(_Shell):
    """A numpy scalar; no attribute that matters is one."""


class _Dtype:
    """numpy.dtype as recorded: only plain numbers are turned into a real one."""

    def __init__(self, code: Any, *flags: Any) -> None:
        self.code = code
        self.order: Literal["<", ">", "|", "="] = "="

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|", "="):
            self.order = state[1]

    def real(self) -> np.dtype[Any]:
        if not isinstance(self.code, str) or self.code.lstrip("<>|=")[:1] not in tuple("fiub"):
            raise pickle.UnpicklingError(f"an array of type {self.code!r}, which is not numbers")
        kind = np.dtype(self.code)
        return kind if self.order in "|=" else kind.newbyteorder(self.order)


_KNOWN: dict[tuple[str, str], type] = {
    ("joblib.numpy_pickle", "NumpyArrayWrapper"): _Array,
    ("numpy", "ndarray"): _ArrayKind,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "scalar"): _Number,
    ("numpy._core.multiarray", "scalar"): _Number,
}


# The C unpickler reads ahead; only the Python one leaves the file where an array begins.
_PYTHON_UNPICKLER: Any = vars(pickle)["_Unpickler"]


class _Reader(_PYTHON_UNPICKLER):  # type: ignore[misc]
    def __init__(self, file: BinaryIO, size: int) -> None:
        super().__init__(file)
        self.stream, self.size = file, size
        self.dispatch = {**_PYTHON_UNPICKLER.dispatch, pickle.BUILD[0]: _Reader.build}

    def find_class(self, module: str, name: str) -> type:
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        if module.split(".")[0] == "sklearn" and "." not in name:
            return _Shell
        raise pickle.UnpicklingError(f"the name {module}.{name}, which no k-means needs")

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("a persistent id, which no k-means needs")

    def build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if not isinstance(target, _Shell | _Dtype):
            raise pickle.UnpicklingError(f"a state for a {type(target).__name__}")
        target.__setstate__(state)
        if isinstance(target, _Array):
            self.stack[-1] = self.array(target.attributes)

    def array(self, wrapper: dict[str, Any]) -> NDArray[Any]:
        kind, shape, order = wrapper.get("dtype"), wrapper.get("shape"), wrapper.get("order")
        if not isinstance(kind, _Dtype) or not isinstance(shape, tuple) or order not in ("C", "F"):
            raise pickle.UnpicklingError("an array without type, shape or order")
        if not all(type(length) is int and length >= 0 for length in shape):
            raise pickle.UnpicklingError(f"an array of shape {shape}")
        dtype = kind.real()
        if wrapper.get("numpy_array_alignment_bytes") is not None:
            padding = self.stream.read(1)
            self.stream.read(padding[0] if padding else 0)
        wanted = math.prod(shape) * dtype.itemsize
        if wanted > self.size - self.stream.tell():
            raise pickle.UnpicklingError(f"an array of {wanted} bytes, more than the file holds")
        flat = np.frombuffer(self.stream.read(wanted), dtype)
        return flat.reshape(shape, order=order)


def read_joblib_centroids(path: Path) -> NDArray[np.float32]:
    """`cluster_centers_` of the scikit-learn k-means in `path`, float32 (clusters, width).

    Raises CheckpointError for anything else, naming what was found; nothing in the file is run.
    """
    content = path.read_bytes() if path.stat().st_size <= MAX_BYTES else b""
    if not content.startswith(b"\x80"):
        raise CheckpointError(
            f"{path} is no uncompressed joblib file; save the centroids as .npy or .safetensors"
        )
    try:
        found = _Reader(io.BytesIO(content), len(content)).load()
    except Exception as error:  # a damaged pickle raises almost anything
        raise CheckpointError(f"{path} is refused: it holds {error}") from error
    table = found.attributes.get("cluster_centers_") if isinstance(found, _Shell) else None
    if not isinstance(table, np.ndarray) or table.ndim != 2:
        raise CheckpointError(f"{path} holds no fitted k-means (no 2-dimensional cluster_centers_)")
    return np.ascontiguousarray(table, dtype=np.float32)

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from orality import CheckpointError, StoreError
from orality.checkpoints import read_array
from orality.store import explain_os_errors


def test_an_array_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    table = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.save(tmp_path / "a.npy", table)
    np.testing.assert_array_equal(read_array(tmp_path / "a.npy"), table)


@pytest.mark.parametrize(
    "shape", ["(10**12, 2)", "(1000000000000, 2)", "((((1,)", "(-1,)", "'x'", "(2**70,)"]
)
def test_a_header_that_does_not_fit_the_file_is_named(tmp_path: Path, shape: str) -> None:
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    path = tmp_path / "lies.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + bytes(64))
    with pytest.raises(CheckpointError, match=r"lies\.npy is not a plain array"):
        read_array(path)


@pytest.mark.parametrize(
    "said",
    [
        "Error while serializing: I/O error: No space left on device (os error 28)",
        "[enforce fail at inline_container.cc:1] . PytorchStreamWriter failed writing file data/0",
    ],
)
def test_a_full_disk_is_one_message_whoever_says_so(tmp_path: Path, said: str) -> None:
    with pytest.raises(StoreError, match="the disk is full"), explain_os_errors(tmp_path):
        raise RuntimeError(said)
    with pytest.raises(RuntimeError, match="shapes"), explain_os_errors(tmp_path):
        raise RuntimeError("shapes do not fit")

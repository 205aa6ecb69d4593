"""Checkpoints from strangers: nothing in them may run, and what is refused is named."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from orality import CheckpointError
from orality_tokenizer_hubert.centroids import read_centroids
from orality_tokenizer_hubert.fairseq import conv_layers, read_fairseq
from orality_tokenizer_hubert.joblib_reader import read_joblib_centroids

GOLDEN = Path(__file__).parents[2] / "golden" / "hubert25"


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.target,)


def test_a_joblib_kmeans_equals_its_plain_copy() -> None:
    table = read_joblib_centroids(GOLDEN / "km500.bin")
    np.testing.assert_array_equal(table, np.load(GOLDEN / "km500.centroids.npy"))
    assert table.dtype == np.float32


def test_a_pickle_that_calls_something_is_refused_and_not_run(tmp_path: Path) -> None:
    file, target = tmp_path / "km.bin", tmp_path / "touched"
    file.write_bytes(pickle.dumps(Bomb(target)))
    with pytest.raises(CheckpointError, match="refused"):
        read_centroids(file)
    assert not target.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("builtins", "eval"), ("numpy", "load"), ("sklearn.utils", "os.system")],
)
def test_names_outside_the_list_are_refused(tmp_path: Path, module: str, name: str) -> None:
    file = tmp_path / "km.bin"
    stack_global = b"".join(b"\x8c" + bytes([len(word)]) + word.encode() for word in (module, name))
    file.write_bytes(b"\x80\x04" + stack_global + b"\x93.")
    with pytest.raises(CheckpointError, match="which no k-means needs"):
        read_centroids(file)


def test_an_array_of_objects_is_refused(tmp_path: Path) -> None:
    content = (GOLDEN / "km500.bin").read_bytes()
    file = tmp_path / "km.bin"
    file.write_bytes(content.replace(b"\x8c\x02f4", b"\x8c\x02O8", 1))
    with pytest.raises(CheckpointError, match="not numbers"):
        read_centroids(file)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    content = (GOLDEN / "km500.bin").read_bytes()
    file = tmp_path / "km.bin"
    for length in (0, 1, 20, 600, 5_000, len(content) - 1):
        file.write_bytes(content[:length])
        with pytest.raises(CheckpointError):
            read_centroids(file)


def test_a_npy_file_with_objects_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "km.npy"
    np.save(file, np.array([[Bomb(tmp_path / "touched")]], dtype=object), allow_pickle=True)
    with pytest.raises(CheckpointError, match="not a plain array"):
        read_centroids(file)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    "table", [np.zeros(3), np.zeros((0, 3)), np.full((2, 2), np.inf), np.array([["a"]])]
)
def test_what_is_no_table_of_numbers_is_refused(tmp_path: Path, table: np.ndarray) -> None:
    np.save(tmp_path / "km.npy", table)
    with pytest.raises(CheckpointError):
        read_centroids(tmp_path / "km.npy")


def test_a_fairseq_file_that_calls_something_is_refused_and_not_run(tmp_path: Path) -> None:
    file, target = tmp_path / "hubert.pt", tmp_path / "touched"
    torch.save({"cfg": {}, "model": {}, "task_state": Bomb(target)}, file)
    with pytest.raises(CheckpointError, match="no readable fairseq"):
        read_fairseq(file)
    assert not target.exists()


def test_the_fairseq_file_reads_as_the_transformers_folder() -> None:
    config, state, normalize = read_fairseq(GOLDEN / "hubert_fairseq.pt")
    assert config.conv_stride == [5, 2, 2, 2, 2, 2, 2, 2]
    assert config.conv_pos_batch_norm
    assert not normalize
    assert "encoder.pos_conv_embed.batch_norm.running_mean" in state
    assert not any(name.startswith("final_proj") for name in state)


def test_layer_lists_are_computed_without_running_them() -> None:
    assert conv_layers("[(512,10,5)] + [(512,3,2)] * 2 + [(512,2,2)]") == [
        (512, 10, 5), (512, 3, 2), (512, 3, 2), (512, 2, 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "expression", ["__import__('os')", "[(1,2,3)] * 10**9", "[(1,2)]", "[(1,", "[x for x in []]"]
)
def test_other_expressions_are_refused(expression: str) -> None:
    with pytest.raises(CheckpointError, match="conv_feature_layers"):
        conv_layers(expression)


def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    file = tmp_path / "hubert.pt"
    torch.save({"weights": torch.zeros(1)}, file)
    with pytest.raises(CheckpointError, match="no fairseq HuBERT"):
        read_fairseq(file)
    buffer = io.BytesIO(b"not a checkpoint")
    file.write_bytes(buffer.getvalue())
    with pytest.raises(CheckpointError, match="no readable fairseq"):
        read_fairseq(file)

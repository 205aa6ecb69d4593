from __future__ import annotations

import torch

from orality.training.checkpoints import latest_checkpoint, write_checkpoint

TENSORS = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor(3)}


def test_a_checkpoint_comes_back(tmp_path):
    write_checkpoint(tmp_path, 5, TENSORS, {"best_step": 2}, keep=2)
    found = latest_checkpoint(tmp_path)
    assert (found.step, found.values) == (5, {"best_step": 2})
    assert {name: tensor.tolist() for name, tensor in found.tensors.items()} == {
        "a": [1.0, 2.0],
        "b": 3,
    }


def test_only_the_newest_are_kept(tmp_path):
    for step in (1, 2, 30, 4):
        write_checkpoint(tmp_path, step, TENSORS, {}, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000004", "step-00000030"]
    assert latest_checkpoint(tmp_path).step == 30


def test_a_damaged_checkpoint_is_passed_over(tmp_path):
    write_checkpoint(tmp_path, 1, TENSORS, {}, keep=2)
    newest = write_checkpoint(tmp_path, 2, TENSORS, {}, keep=2)
    (newest / "state.safetensors").write_bytes(b"no")
    assert latest_checkpoint(tmp_path).step == 1


def test_nothing_written_is_nothing_found(tmp_path):
    assert latest_checkpoint(tmp_path / "none") is None

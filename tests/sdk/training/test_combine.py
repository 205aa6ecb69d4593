from __future__ import annotations

import pytest
import torch
from peft import PeftModel

from orality.errors import CheckpointError
from orality.training import (
    add_adapter,
    combine_adapters,
    load_policy,
    remove_adapter,
    save_adapter,
)


def write_adapter(slm, path, seed, *, alpha=8):
    """An adapter with random weights: a fresh one changes nothing."""
    policy = add_adapter(slm, r=4, alpha=alpha, seed=seed)
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, weight in policy.module.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.1)
    save_adapter(policy, path)
    remove_adapter(policy)


def test_one_adapter_does_what_two_rounds_did(slm, random_units, tmp_path):
    for seed in (1, 2):
        write_adapter(slm, tmp_path / str(seed), seed)
    rounds = [tmp_path / "1", tmp_path / "2"]
    expected = load_policy(slm, rounds).log_likelihood([random_units(0, 20)])
    combined = combine_adapters(rounds, tmp_path / "adapter")
    assert load_policy(slm, [combined]).log_likelihood([random_units(0, 20)]) == pytest.approx(
        expected, rel=1e-5
    )
    plain = PeftModel.from_pretrained(slm.module, str(combined))
    assert slm.with_module(plain).log_likelihood([random_units(0, 20)]) == pytest.approx(
        expected, rel=1e-5
    )


def test_adapters_of_different_scales_are_refused(slm, tmp_path):
    write_adapter(slm, tmp_path / "1", 1)
    write_adapter(slm, tmp_path / "2", 2, alpha=16)
    with pytest.raises(CheckpointError, match="scales"):
        combine_adapters([tmp_path / "1", tmp_path / "2"], tmp_path / "adapter")

from __future__ import annotations

import numpy as np
import pytest

from orality.errors import TrainingError
from orality.training import Lora, Settings, load_policy, train_sft
from orality.types import Units

FAST = Settings(learning_rate=2e-2, warmup_steps=2, items_per_step=8, steps=40, evaluate_every=10)
LORA = Lora(r=8, alpha=64)


def counting(start: int, length: int) -> Units:
    return Units((start + np.arange(length)) % 19)


def test_it_learns_to_count(slm, tmp_path):
    sequences = [(f"s{i}", counting(i, 8 + i % 4)) for i in range(19)]
    dev = [("dev", counting(3, 20))]
    result = train_sft(slm, sequences, dev, out=tmp_path, settings=FAST, lora=LORA)
    policy = load_policy(slm, [result.adapter])
    units = dev[0][1]
    assert policy.log_likelihood([units])[0] > slm.log_likelihood([units])[0] + 2
    assert result.dev["loss"] == pytest.approx(-policy.log_likelihood([units])[0] / 19, abs=1e-4)
    assert result.dev_reward_accuracy is None


def test_no_sequences_are_refused(slm, tmp_path):
    with pytest.raises(TrainingError, match="no sequences"):
        train_sft(slm, [], out=tmp_path)


def test_a_sequence_too_short_to_predict_anything_is_named(slm, tmp_path):
    with pytest.raises(TrainingError, match="sequence short: got 1 units"):
        train_sft(slm, [("short", counting(0, 1))], out=tmp_path)

"""A policy that is held to another model than the one that its training starts from."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from orality.testing.toy_slm import random_slm
from orality.training import (
    Lora,
    Settings,
    load_policy,
    policy_fingerprint,
    read_metrics,
    train_dpo,
)
from orality.training.log_probs import preference_group, sum_log_probs

OPTIONS = {
    "settings": Settings(
        learning_rate=1e-2, warmup_steps=0, steps=4, items_per_step=8, evaluate_every=2
    ),
    "lora": Lora(r=4),
}


def sums(slm, pair):
    group = preference_group(slm, pair.prompt, [("a", pair.chosen), ("b", pair.rejected)])
    with torch.no_grad():
        return sum_log_probs(slm.module, [group], None).tolist()


@pytest.fixture
def last(slm, make_pairs, tmp_path):
    """The policy of a first round."""
    first = train_dpo(slm, make_pairs(8), out=tmp_path / "1", **OPTIONS)
    return load_policy(slm, [first.adapter])


def carrying(policy, pairs):
    """The pairs, as if sampled from the policy."""
    name = policy_fingerprint(policy)
    return [
        replace(pair, reference=name, reference_chosen=both[0], reference_rejected=both[1])
        for pair in pairs
        for both in [sums(policy, pair)]
    ]


def test_training_starts_from_the_last_policy_and_is_held_to_the_first(
    slm, last, make_pairs, tmp_path
):
    before, pairs = policy_fingerprint(slm), make_pairs(8)
    out = tmp_path / "2"
    train_dpo(last, carrying(last, pairs), out=out, reference_policy=slm, **OPTIONS)
    stored = json.loads((out / "reference.json").read_text())
    assert stored["reference"] == before
    for pair in pairs:
        assert stored["sums"][pair.id] == pytest.approx(sums(slm, pair), abs=1e-4)
    # All eight pairs are in the first step, where the policy still is the last one.
    first = read_metrics(out / "metrics.jsonl")[0]
    gained = [
        0.1 * ((now[0] - was[0]) - (now[1] - was[1]))
        for now, was in ((sums(last, pair), sums(slm, pair)) for pair in pairs)
    ]
    assert first["reward_margin"] == pytest.approx(np.mean(gained), abs=1e-4)
    assert abs(first["reward_margin"]) > 1e-3
    assert first["kl"] == pytest.approx(0, abs=1e-4)  # nothing has moved from the start
    assert policy_fingerprint(slm) == before
    assert all(weight.requires_grad for weight in slm.module.parameters())


def test_what_carries_no_log_probs_is_computed_under_both(slm, last, make_pairs, tmp_path):
    out = tmp_path / "2"
    train_dpo(last, make_pairs(4), out=out, reference_policy=slm, **OPTIONS)
    start = json.loads((out / "start.json").read_text())
    assert start["reference"] == policy_fingerprint(last)
    pair = make_pairs(4)[0]
    assert start["sums"][pair.id] == pytest.approx(sums(last, pair), abs=1e-4)


def test_the_model_itself_as_reference_is_the_usual_training(slm, make_pairs, tmp_path):
    plain = train_dpo(slm, make_pairs(4), out=tmp_path / "a", **OPTIONS)
    same = train_dpo(
        slm, make_pairs(4), out=tmp_path / "b", reference_policy=random_slm(), **OPTIONS
    )
    name = "adapter_model.safetensors"
    assert (plain.adapter / name).read_bytes() == (same.adapter / name).read_bytes()
    assert not (tmp_path / "b" / "start.json").exists()


class Killed(Exception):
    pass


def test_it_continues_bit_for_bit_without_another_pass(slm, last, make_pairs, tmp_path):
    passes = []

    def kill(stage, done, total, note=""):
        passes.append(stage)
        if (stage, done) == ("dpo", 3):
            raise Killed

    given = {"reference_policy": slm, **OPTIONS}
    straight = train_dpo(last, make_pairs(8), make_pairs(4, seed=1), out=tmp_path / "a", **given)
    with pytest.raises(Killed):
        train_dpo(
            last, make_pairs(8), make_pairs(4, seed=1), out=tmp_path / "b", progress=kill, **given
        )
    assert "reference" in passes
    passes.clear()
    resumed = train_dpo(
        last, make_pairs(8), make_pairs(4, seed=1), out=tmp_path / "b",
        progress=lambda stage, done, total, note="": passes.append(stage), **given,
    )  # fmt: skip
    assert set(passes) == {"dpo"}
    name = "adapter_model.safetensors"
    assert (straight.adapter / name).read_bytes() == (resumed.adapter / name).read_bytes()

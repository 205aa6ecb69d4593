from __future__ import annotations

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from orality.errors import TrainingError
from orality.testing.toy_slm import random_slm
from orality.training import (
    Lora,
    PreferenceLoss,
    Settings,
    load_policy,
    loop,
    policy_fingerprint,
    read_metrics,
    train_dpo,
)
from orality.training.log_probs import preference_group, sum_log_probs
from orality.types import Units

FAST = Settings(
    learning_rate=1e-2, warmup_steps=2, items_per_step=8, max_tokens=100, evaluate_every=3
)
LORA = Lora(r=4, dropout=0.0)


def fast(**changes):
    """The arguments of a short training with a small adapter, with other settings."""
    return {"settings": replace(FAST, **changes), "lora": LORA}


def sums(slm, pair):
    group = preference_group(slm, pair.prompt, [("a", pair.chosen), ("b", pair.rejected)])
    with torch.no_grad():
        return sum_log_probs(slm.module, [group], None).tolist()


def weights(path):
    return (path / "adapter_model.safetensors").read_bytes()


class Killed(Exception):
    pass


def kill_at(step):
    def progress(stage, done, total, note=""):
        if stage == "dpo" and done == step:
            raise Killed

    return progress


def test_it_learns_to_prefer_a_unit(slm, make_pairs, tmp_path):
    pairs, dev = make_pairs(24), make_pairs(12, seed=1)
    result = train_dpo(slm, pairs, dev, out=tmp_path, **fast(steps=15))
    assert result.dev_reward_accuracy == 1.0
    policy = load_policy(slm, [result.adapter])
    for pair in dev:
        before, after = sums(slm, pair), sums(policy, pair)
        assert after[0] - after[1] > before[0] - before[1]
    assert read_metrics(tmp_path / "metrics.jsonl")[-1]["loss"] < np.log(2) - 0.1


def test_the_model_is_left_as_it_was(slm, make_pairs, tmp_path):
    before = policy_fingerprint(slm)
    train_dpo(slm, make_pairs(8), out=tmp_path, **fast(steps=2))
    assert policy_fingerprint(slm) == before
    assert slm.module.config.use_cache is True
    assert all(weight.requires_grad for weight in slm.module.parameters())


def test_the_first_step_starts_at_the_reference(slm, make_pairs, tmp_path):
    train_dpo(slm, make_pairs(8), out=tmp_path, **fast(steps=1))
    [record] = read_metrics(tmp_path / "metrics.jsonl")
    assert record["loss"] == pytest.approx(np.log(2), abs=1e-5)
    assert record["reward_margin"] == pytest.approx(0, abs=1e-5)
    assert record["step"] == 1
    assert record["learning_rate"] == pytest.approx(5e-3)


def test_twenty_steps_are_ten_steps_and_ten_more_bit_for_bit(make_pairs, tmp_path):
    pairs, dev = make_pairs(20), make_pairs(6, seed=1)
    options = {**fast(steps=20, evaluate_every=5), "lora": Lora(r=4, dropout=0.2)}
    straight = train_dpo(random_slm(), pairs, dev, out=tmp_path / "a", **options)
    slm = random_slm()
    with pytest.raises(Killed):  # in step 13: what came after the checkpoint of step 10 is lost
        train_dpo(slm, pairs, dev, out=tmp_path / "b", progress=kill_at(13), **options)
    torch.manual_seed(99)
    resumed = train_dpo(slm, pairs, dev, out=tmp_path / "b", **options)
    assert weights(straight.adapter) == weights(resumed.adapter)
    assert (straight.dev, straight.best_step) == (resumed.dev, resumed.best_step)

    def records(folder):
        lines = read_metrics(tmp_path / folder / "metrics.jsonl")
        return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]

    assert records("a") == records("b")
    assert [line["step"] for line in records("b")] == list(range(1, 21))


def test_a_finished_training_is_not_done_again(slm, make_pairs, tmp_path):
    first = train_dpo(slm, make_pairs(8), out=tmp_path, **fast(steps=2))
    again = train_dpo(slm, make_pairs(8), out=tmp_path, progress=kill_at(1), **fast(steps=2))
    assert again.seconds == 0
    assert (again.adapter, again.train, again.steps) == (first.adapter, first.train, 2)


def test_another_training_in_the_same_folder_is_refused(slm, make_pairs, tmp_path):
    train_dpo(slm, make_pairs(8), out=tmp_path, **fast(steps=2))
    with pytest.raises(TrainingError, match=r"different: data, loss"):
        train_dpo(slm, make_pairs(9), out=tmp_path, loss=PreferenceLoss(beta=0.2), **fast(steps=2))
    with pytest.raises(TrainingError, match=r"different: base\)"):
        train_dpo(random_slm(1), make_pairs(8), out=tmp_path, **fast(steps=2))


def test_a_training_may_continue_with_shorter_rows(slm, make_pairs, tmp_path):
    with pytest.raises(Killed):
        train_dpo(slm, make_pairs(8), out=tmp_path, progress=kill_at(4), **fast(steps=6))
    result = train_dpo(slm, make_pairs(8), out=tmp_path, **fast(steps=6, max_tokens=30))
    assert result.steps == 6


def test_the_length_of_rows_does_not_change_the_gradient(make_pairs, tmp_path):
    records = []
    for size in (30, 70, 1000):
        out = tmp_path / str(size)
        train_dpo(random_slm(), make_pairs(8), out=out, **fast(steps=2, max_tokens=size))
        records.append(read_metrics(out / "metrics.jsonl")[-1])
    for record in records[1:]:
        for name in ("loss", "reward_margin", "gradient_norm"):
            assert record[name] == pytest.approx(records[0][name], rel=1e-4, abs=1e-6)


def test_the_best_dev_step_is_kept_not_the_last(slm, make_pairs, tmp_path):
    """The dev pairs want the opposite, so the first evaluation is the best one."""
    dev = [
        replace(pair, chosen=pair.rejected, rejected=pair.chosen) for pair in make_pairs(8, seed=1)
    ]
    result = train_dpo(slm, make_pairs(16), dev, out=tmp_path, **fast(steps=9))
    by_step = {line["step"]: line for line in read_metrics(tmp_path / "metrics.jsonl")}
    qualities = {
        step: (by_step[step]["dev_reward_accuracy"], by_step[step]["dev_reward_margin"])
        for step in (3, 6, 9)
    }
    assert qualities[result.best_step] == max(qualities.values())
    assert result.best_step == 3
    policy = load_policy(slm, [result.adapter])
    margins = []
    for pair in dev:
        (chosen, rejected), (was_chosen, was_rejected) = sums(policy, pair), sums(slm, pair)
        margins.append(0.1 * ((chosen - was_chosen) - (rejected - was_rejected)))
    assert np.mean(margins) == pytest.approx(qualities[3][1], abs=1e-4)


def carrying(slm, pairs, reference):
    return [
        replace(pair, reference=reference, reference_chosen=both[0], reference_rejected=both[1])
        for pair in pairs
        for both in [sums(slm, pair)]
    ]


def test_the_best_step_may_be_that_of_the_lowest_dev_loss(slm, make_pairs, tmp_path):
    result = train_dpo(
        slm, make_pairs(16), make_pairs(8, seed=1), out=tmp_path, best_by="loss", **fast(steps=9)
    )
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    losses = {row["step"]: row["dev_loss"] for row in rows if "dev_loss" in row}
    assert len(losses) == 3
    assert losses[result.best_step] == min(losses.values())


def test_carried_reference_log_probs_are_used(slm, make_pairs, tmp_path):
    pairs = make_pairs(8)
    with_sums = carrying(slm, pairs, policy_fingerprint(slm))
    train_dpo(slm, with_sums, out=tmp_path / "a", **fast(steps=3))
    train_dpo(slm, pairs, out=tmp_path / "b", **fast(steps=3))
    assert not (tmp_path / "a" / "reference.json").exists()
    assert len(json.loads((tmp_path / "b" / "reference.json").read_text())["sums"]) == 8
    losses = [
        [line["loss"] for line in read_metrics(tmp_path / name / "metrics.jsonl")] for name in "ab"
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_the_log_probs_of_another_reference_are_refused(slm, make_pairs, tmp_path):
    with pytest.raises(TrainingError, match="carry log-probabilities of another reference"):
        train_dpo(slm, carrying(slm, make_pairs(8), "other"), out=tmp_path, **fast(steps=1))


def test_a_reference_named_by_the_caller_is_accepted(slm, make_pairs, tmp_path):
    pairs = carrying(slm, make_pairs(8), "mine")
    result = train_dpo(slm, pairs, out=tmp_path, reference="mine", **fast(steps=1))
    assert result.steps == 1


def test_stale_log_probs_under_the_right_name_are_noticed(slm, make_pairs, tmp_path):
    pairs = carrying(random_slm(5), make_pairs(8), policy_fingerprint(slm))
    pairs = [replace(pair, reference_chosen=pair.reference_chosen - 3) for pair in pairs]
    with pytest.raises(TrainingError, match="came from another policy"):
        train_dpo(slm, pairs, out=tmp_path, **fast(steps=1))


def test_no_pairs_say_what_to_do(slm, tmp_path):
    with pytest.raises(TrainingError, match="lower the thresholds"):
        train_dpo(slm, [], out=tmp_path)


def test_a_loss_that_is_not_finite_stops_and_names_the_pairs(
    slm, make_pairs, tmp_path, monkeypatch
):
    def poisoned(module, groups, backend):
        values = sum_log_probs(module, groups, backend)
        bad = [bool((ids == 14 + 2).any()) for group in groups for ids in group.continuations]
        return torch.where(torch.tensor(bad), values * torch.nan, values)

    monkeypatch.setattr(loop, "sum_log_probs", poisoned)
    pairs = make_pairs(6)
    for pair in pairs:  # unit 14 only in pair 0-3
        for units in (pair.prompt, pair.chosen, pair.rejected):
            units.ids[units.ids == 14] = 13
    pairs[3].chosen.ids[1] = 14
    with pytest.raises(TrainingError, match=r"loss is not finite at step 1, in: 0-3; look"):
        train_dpo(slm, pairs, out=tmp_path, **fast(steps=2))
    assert not (tmp_path / "adapter").exists()
    assert policy_fingerprint(slm) == policy_fingerprint(random_slm())


def test_a_gradient_that_is_not_finite_stops_before_it_is_applied(
    slm, make_pairs, tmp_path, monkeypatch
):
    def steep(module, groups, backend):
        values = sum_log_probs(module, groups, backend)
        if values.requires_grad:
            values.register_hook(lambda gradient: gradient * torch.inf)
        return values

    monkeypatch.setattr(loop, "sum_log_probs", steep)
    with pytest.raises(TrainingError, match=r"gradient is not finite at step 1, in: 0-\d, 0-\d"):
        train_dpo(slm, make_pairs(4), out=tmp_path, **fast(steps=2))
    assert not (tmp_path / "checkpoints").exists()


def test_an_id_that_comes_twice_is_refused(slm, make_pairs, tmp_path):
    pairs = make_pairs(4)
    with pytest.raises(TrainingError, match="'0-1' comes twice"):
        train_dpo(slm, pairs, [pairs[1]], out=tmp_path, **fast(steps=1))


def test_impossible_settings_are_listed_together():
    with pytest.raises(
        TrainingError, match=r"wanted learning_rate above 0; max_tokens at least 1; precision one"
    ):
        Settings(learning_rate=0.0, precision="float8", max_tokens=0)
    with pytest.raises(TrainingError, match=r"beta=0.*wanted beta > 0; margin 0 unless"):
        PreferenceLoss(beta=0, margin=0.5)


def test_a_warm_up_longer_than_the_training_is_said(slm, make_pairs, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        train_dpo(slm, make_pairs(4), out=tmp_path, **fast(steps=1, warmup_steps=500))
    assert "never reaches its peak" in caplog.text


def test_float16_is_refused(slm, make_pairs, tmp_path):
    slm.module.half()
    with pytest.raises(TrainingError, match="float16"):
        train_dpo(slm, make_pairs(4), out=tmp_path, **fast(steps=1))


def test_bfloat16_learns_as_well(slm, make_pairs, tmp_path):
    result = train_dpo(
        slm, make_pairs(24), make_pairs(12, seed=1), out=tmp_path,
        **fast(steps=12, precision="bfloat16"),
    )  # fmt: skip
    assert result.dev_reward_accuracy == 1.0


def test_the_added_next_unit_loss_holds_the_chosen_side_up(make_pairs, tmp_path):
    pairs = make_pairs(16)
    finals = []
    for weight in (0.0, 5.0):
        out = tmp_path / str(weight)
        loss = PreferenceLoss(sft_weight=weight)
        train_dpo(random_slm(), pairs, out=out, loss=loss, **fast(steps=6))
        finals.append(read_metrics(out / "metrics.jsonl")[-1]["chosen_nats"])
    assert finals[1] < finals[0]


def test_pairs_of_one_unit_train(slm, make_pairs, tmp_path):
    one = Units(np.array([3])), Units(np.array([7]))
    pairs = [replace(pair, chosen=one[0], rejected=one[1]) for pair in make_pairs(4)]
    result = train_dpo(slm, pairs, out=tmp_path, **fast(steps=2))
    assert result.train["loss"] < np.log(2)


def test_the_second_round_starts_from_the_first(slm, make_pairs, tmp_path):
    """Round 2's reference is round 1's policy, and its adapter sits on top of it."""
    pairs = make_pairs(16)
    first = train_dpo(slm, pairs, out=tmp_path / "1", **fast(steps=6))
    start = load_policy(slm, [first.adapter])
    second = train_dpo(start, pairs, out=tmp_path / "2", **fast(steps=6))
    stored = json.loads((tmp_path / "2" / "reference.json").read_text())
    assert stored["sums"][pairs[0].id] == pytest.approx(sums(start, pairs[0]), abs=1e-4)
    final = load_policy(slm, [first.adapter, second.adapter])

    def margin(policy):
        return np.mean([chosen - rejected for chosen, rejected in (sums(policy, p) for p in pairs)])

    assert margin(slm) < margin(start) < margin(final)

"""A training that is followed."""

from __future__ import annotations

import json

import pytest

from orality.testing.toy_slm import random_slm
from orality.tracking import JsonlTracker, Tracked, read_steps
from orality.training import Lora, Settings, read_metrics, train_dpo

FAST = Settings(
    learning_rate=1e-2, warmup_steps=2, steps=7, items_per_step=8, max_tokens=100, evaluate_every=3
)


class Killed(Exception):
    pass


def kill_at(step):
    def progress(stage, done, total, note=""):
        if stage == "dpo" and done == step:
            raise Killed

    return progress


def train(make_pairs, out, tracker, **options):
    tracked = Tracked(tracker=tracker, name="round-1", config={"recipe": {"seed": 0}})
    return train_dpo(
        random_slm(seed=0), make_pairs(24), make_pairs(12, seed=1), out=out, settings=FAST,
        lora=Lora(r=4), tracked=tracked, **options,
    )  # fmt: skip


def test_every_step_is_followed_as_it_is_recorded(make_pairs, tmp_path):
    train(make_pairs, tmp_path / "train", JsonlTracker(tmp_path))
    steps = read_steps(tmp_path / "round-1.jsonl")
    records = read_metrics(tmp_path / "train" / "metrics.jsonl")
    assert [row["step"] for row in steps] == list(range(1, 8))
    for step, record in zip(steps, records, strict=True):
        for name in ("loss", "reward_margin", "reward_accuracy", "learning_rate", "gradient_norm"):
            assert step[f"train/{name}"] == record[name]
        assert step.get("dev/reward_margin") == record.get("dev_reward_margin")
        assert step["train/tokens_per_second"] > 0
    assert "dev/loss" in steps[2]
    first = json.loads((tmp_path / "round-1.jsonl").read_text().splitlines()[0])
    assert first["config"]["recipe"] == {"seed": 0}
    assert first["config"]["training"]["method"] == "dpo"


def test_a_killed_training_is_followed_on_without_doubling(make_pairs, tmp_path):
    with pytest.raises(Killed):
        train(make_pairs, tmp_path / "train", JsonlTracker(tmp_path), progress=kill_at(5))
    path = tmp_path / "round-1.jsonl"
    assert [row["step"] for row in read_steps(path)] == [1, 2, 3, 4, 5]
    assert json.loads(path.read_text().splitlines()[-1])["status"] == "failed"
    train(make_pairs, tmp_path / "train", JsonlTracker(tmp_path))
    assert [row["step"] for row in read_steps(path)] == list(range(1, 8))
    losses = [record["loss"] for record in read_metrics(tmp_path / "train" / "metrics.jsonl")]
    assert [row["train/loss"] for row in read_steps(path)] == losses


def test_a_finished_training_is_not_followed_again(make_pairs, tmp_path):
    train(make_pairs, tmp_path / "train", JsonlTracker(tmp_path))
    before = (tmp_path / "round-1.jsonl").read_bytes()
    train(make_pairs, tmp_path / "train", JsonlTracker(tmp_path))
    assert (tmp_path / "round-1.jsonl").read_bytes() == before


def test_a_resumed_training_may_be_followed_elsewhere(make_pairs, tmp_path):
    with pytest.raises(Killed):
        train(make_pairs, tmp_path / "train", JsonlTracker(tmp_path / "a"), progress=kill_at(4))
    train(make_pairs, tmp_path / "train", JsonlTracker(tmp_path / "b"))
    # step 4 was not in a checkpoint
    assert [row["step"] for row in read_steps(tmp_path / "b" / "round-1.jsonl")] == [4, 5, 6, 7]


def test_a_tracker_that_fails_changes_nothing_about_the_training(make_pairs, tmp_path, caplog):
    class Broken(JsonlTracker):
        def log(self, metrics, step):
            raise OSError("the board is full")

    train(make_pairs, tmp_path / "a", Broken(tmp_path / "broken"))
    train(make_pairs, tmp_path / "b", JsonlTracker(tmp_path))
    assert caplog.text.count("the board is full") == 1
    weights = "adapter/adapter_model.safetensors"
    assert (tmp_path / "a" / weights).read_bytes() == (tmp_path / "b" / weights).read_bytes()

from __future__ import annotations

import pytest

from orality.training.diagnosis import chance_interval, diagnose


def training(*, steps=8, train=0.7, dev=None, kl=8.0, gain=0.0, ties=0.0):
    """Metrics of a training with an evaluation in its last step."""
    records = [
        {"step": step, "reward_accuracy": train, "reward_ties": ties, "kl": kl}
        for step in range(1, steps + 1)
    ]
    if dev is not None:
        records[-1] |= {
            "dev_reward_accuracy": dev,
            "dev_reward_ties": ties,
            "dev_kl": kl,
            "dev_chosen_gain": gain,
        }
    return records


def test_a_training_that_generalizes_gives_no_warning():
    assert diagnose(training(train=0.95, dev=0.7), 8, dev_pairs=100) == []
    assert diagnose(training(train=0.7, dev=0.5), 8, dev_pairs=100) == []
    assert diagnose(training(), 8, dev_pairs=0) == []
    assert diagnose([], 0, dev_pairs=0) == []


def test_guessing_on_twenty_pairs_wins_six_to_fourteen():
    """P(at most 5 of 20) = .0207 and P(at most 6) = .0577, so 6 is the quantile at .025."""
    assert chance_interval(20) == (0.3, 0.7)


@pytest.mark.parametrize(("dev", "warned"), [(0.2, True), (0.7, True), (0.75, False)])
def test_dev_accuracy_that_guessing_could_give_is_said_where_training_accuracy_is_high(dev, warned):
    found = diagnose(training(train=0.95, dev=dev), 8, dev_pairs=20)
    assert [f"dev accuracy is {dev:.2f}" in text for text in found] == [True] * warned
    assert all("0.30 to 0.70 on 20 dev pairs" in text for text in found)


def test_a_better_accuracy_at_the_kept_step_is_enough():
    records = training(train=0.95, dev=0.5)
    records[3] |= {
        "dev_reward_accuracy": 0.8, "dev_reward_ties": 0.0, "dev_kl": 5.0, "dev_chosen_gain": 0.0,
    }  # fmt: skip
    assert diagnose(records, 4, dev_pairs=20) == []


def test_training_accuracy_is_that_of_the_last_quarter():
    """Eight steps: the last two have 1.0 and 0.9, a mean of .95."""
    records = training(train=0.0, dev=0.5)
    records[6]["reward_accuracy"], records[7]["reward_accuracy"] = 1.0, 0.9
    [warning] = diagnose(records, 8, dev_pairs=20)
    assert "training accuracy is 0.95" in warning


def test_ties_count_half():
    """0.4 won and 0.7 tied is 0.75, above what guessing gives."""
    assert diagnose(training(train=0.6, dev=0.4, ties=0.7), 8, dev_pairs=20) == []


def test_a_policy_that_hardly_moved_is_said():
    [warning] = diagnose(training(dev=0.6, kl=0.04), 8, dev_pairs=20)
    assert "0.040 nats per continuation" in warning
    assert "Raise training.learning_rate or training.epochs" in warning
    [warning] = diagnose(training(kl=0.04), 8, dev_pairs=0)  # without dev pairs, of training
    assert "hardly moved" in warning


def test_a_policy_that_moved_too_far_is_said():
    [warning] = diagnose(training(dev=0.6, kl=50.5), 8, dev_pairs=20)
    assert "above the limit of 50" in warning
    assert diagnose(training(dev=0.6, kl=49.0), 8, dev_pairs=20) == []
    [warning] = diagnose(training(dev=0.6, kl=12.0), 8, dev_pairs=20, max_kl=10.0)
    assert "12.0 nats per continuation, above the limit of 10" in warning


def test_chosen_continuations_that_become_unlikely_are_said():
    [warning] = diagnose(training(dev=0.6, gain=-0.25), 8, dev_pairs=20)
    assert "lost 0.25 nats per unit" in warning
    assert diagnose(training(dev=0.6, gain=-0.19), 8, dev_pairs=20) == []

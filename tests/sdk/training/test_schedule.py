from __future__ import annotations

import pytest

from orality.errors import TrainingError
from orality.training.schedule import items_of_step, learning_rate, total_steps


def test_the_rate_rises_to_the_peak_and_falls_to_nothing():
    """Warm-up 4 of 8: 1/4, 2/4, 3/4, 4/4 of the peak, then (8 - step) / 4."""
    rates = [learning_rate(step, peak=8.0, warmup_steps=4, total=8) for step in range(8)]
    assert rates == [2.0, 4.0, 6.0, 8.0, 8.0, 6.0, 4.0, 2.0]


def test_without_warm_up_the_rate_starts_at_its_peak():
    assert learning_rate(0, peak=1.0, warmup_steps=0, total=10) == 1.0


def test_an_epoch_sees_every_item_once_in_another_order_than_the_last():
    def epoch(number):
        steps = range(3 * number, 3 * number + 3)
        return [i for step in steps for i in items_of_step(10, 4, step=step, seed=1)]

    assert sorted(epoch(0)) == sorted(epoch(1)) == list(range(10))
    assert epoch(0) != epoch(1)
    assert [len(items_of_step(10, 4, step=step, seed=1)) for step in range(3)] == [4, 4, 2]


def test_a_step_never_holds_an_item_twice_when_there_are_few():
    assert sorted(items_of_step(5, 512, step=3, seed=0)) == [0, 1, 2, 3, 4]


def test_epochs_become_steps():
    assert total_steps(10, 4, steps=None, epochs=2.0) == 6
    assert total_steps(10, 4, steps=None, epochs=0.5) == 2
    assert total_steps(10, 4, steps=None, epochs=None) == 3
    assert total_steps(10, 4, steps=7, epochs=None) == 7


def test_steps_and_epochs_together_are_refused():
    with pytest.raises(TrainingError, match="give one of them"):
        total_steps(10, 4, steps=1, epochs=1.0)

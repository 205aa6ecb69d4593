from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orality.errors import TrainingError
from orality.training.schedule import (
    epoch,
    learning_rate,
    shares,
    steps_from,
    total_steps,
)


def test_the_rate_rises_to_the_peak_and_falls_to_nothing():
    """Warm-up 4 of 8: 1/4, 2/4, 3/4, 4/4 of the peak, then (8 - step) / 4."""
    rates = [learning_rate(step, peak=8.0, warmup_steps=4, total=8) for step in range(8)]
    assert rates == [2.0, 4.0, 6.0, 8.0, 8.0, 6.0, 4.0, 2.0]


def test_without_warm_up_the_rate_starts_at_its_peak():
    assert learning_rate(0, peak=1.0, warmup_steps=0, total=10) == 1.0


ONES = (1,) * 10


def step_groups(sizes, per_step, count):
    return [next(steps_from(sizes, per_step, first=step, seed=1))[1] for step in range(count)]


def test_an_epoch_sees_every_item_once_in_another_order_than_the_last():
    steps = step_groups(ONES, 4, 6)
    first, second = ([i for step in part for i in step] for part in (steps[:3], steps[3:]))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert [len(step) for step in steps] == [4, 4, 2] * 2


def test_steps_from_the_middle_are_those_of_the_whole():
    whole = list(islice(steps_from(ONES, 4, first=0, seed=1), 10))
    assert [number for number, _ in whole] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]
    for first in range(8):
        assert list(islice(steps_from(ONES, 4, first=first, seed=1), 2)) == whole[first : first + 2]


def test_a_step_never_holds_an_item_twice_when_there_are_few():
    assert sorted(next(steps_from((1,) * 5, 512, first=3, seed=0))[1]) == [0, 1, 2, 3, 4]


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=30).map(tuple),
    per_step=st.integers(1, 12),
    seed=st.integers(0, 99),
)
def test_groups_are_whole_and_a_step_holds_what_was_asked_for_or_less(sizes, per_step, seed):
    steps = epoch(sizes, per_step, number=0, seed=seed)
    assert sorted(index for step in steps for index in step) == list(range(len(sizes)))
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        pairs = sum(sizes[index] for index in step)
        assert pairs <= per_step or len(step) == 1
        # Nothing is put off that would have fitted.
        assert following is None or pairs + sizes[following[0]] > per_step


def test_epochs_become_steps():
    def count(**length):
        return total_steps(ONES, 4, seed=0, **{"steps": None, "epochs": None, **length})

    assert count(epochs=2.0) == 6
    assert count(epochs=0.5) == 2
    assert count() == 3
    assert count(steps=7) == 7


def test_steps_and_epochs_together_are_refused():
    with pytest.raises(TrainingError, match="give one of them"):
        total_steps(ONES, 4, seed=0, steps=1, epochs=1.0)


@given(tokens=st.lists(st.integers(1, 50), max_size=30), processes=st.integers(1, 5))
def test_processes_share_groups_evenly(tokens, processes):
    """The largest and the least load differ by one group at most."""
    found = shares(tokens, processes)
    assert sorted(index for share in found for index in share) == list(range(len(tokens)))
    loads = [sum(tokens[index] for index in share) for share in found]
    assert max(loads) - min(loads) <= max(tokens, default=0)

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orality.planning import Rates, StageRate, plan, shares

RATES = Rates(
    device="a device",
    samples=5,
    stages=(
        StageRate(stage="prompts", seconds=0.36, spread=0.036, start=72, bytes=1000),
        StageRate(stage="continuations", seconds=3.6, spread=0.36, start=36, bytes=500),
        StageRate(stage="verdicts", seconds=0.72, spread=0.0, dollars=0.01, on_device=False),
    ),
)


def test_hours_are_the_stages_seconds_for_all_prompts_and_the_start():
    """1,000 prompts: 360 s + 3600 s + 720 s = 1.3 h, and 108 s = 0.03 h to start; the spreads are
    36 s + 360 s + 0 s = 0.11 h."""
    found = plan(RATES, prompts=1000, samples=5, devices=[1, 2])
    assert [stage.hours for stage in found.stages] == pytest.approx([0.1, 1.0, 0.2])
    assert found.hours == pytest.approx(1.33)
    assert found.spread == pytest.approx(0.11)
    one, two = found.devices
    assert (one.hours, one.spread, one.device_hours) == pytest.approx((1.33, 0.11, 1.33))
    assert (two.hours, two.spread, two.device_hours) == pytest.approx((0.68, 0.055, 1.36))
    assert found.dollars == pytest.approx(10)
    assert found.bytes == pytest.approx(1.5e6)


def test_further_rounds_do_all_but_the_cutting_again():
    """One device: 1.33 h, then twice 1.2 h and the 36 s that a round's own components take."""
    found = plan(RATES, prompts=1000, samples=5, devices=[1], rounds=3)
    assert found.devices[0].all_rounds_hours == pytest.approx(1.33 + 2 * (1.2 + 0.01))
    assert found.all_rounds_bytes == pytest.approx(1000 * (1000 + 3 * 500))
    assert found.all_rounds_dollars == pytest.approx(30)


def test_more_continuations_cost_in_proportion_and_prompts_do_not():
    found = plan(RATES, prompts=1000, samples=10, devices=[1])
    assert [stage.hours for stage in found.stages] == pytest.approx([0.1, 2.0, 0.4])
    assert [stage.dollars for stage in found.stages] == pytest.approx([0, 0, 20])
    assert [stage.bytes for stage in found.stages] == pytest.approx([1e6, 1e6, 0])


def test_a_stage_of_its_own_pool_is_as_fast_as_the_slowest():
    """Four devices: prompts 0.1 h / 4, then continuations on all four; verdicts need none."""
    (found,) = plan(RATES, prompts=1000, samples=5, devices=[4]).devices
    assert found.pools == {"continuations": 4}
    assert found.pool_hours == pytest.approx(0.025 + 0.03 + 0.25)


def test_what_is_unknown_is_named_and_in_no_sum():
    unknown = StageRate(stage="verdicts", seconds=None, dollars=None)
    rates = RATES.model_copy(update={"stages": (*RATES.stages[:2], unknown)})
    found = plan(rates, prompts=1000, samples=5, devices=[1])
    assert found.unknown == ("verdicts",)
    assert found.hours == pytest.approx(1.13)
    assert found.dollars is None
    assert found.devices[0].hours == pytest.approx(1.13)
    assert found.spread == pytest.approx(0.11)


def test_devices_go_to_the_stage_that_takes_longest():
    """6, 3, 1: one each; 6 gets 2 (3 each), then 3 (2); 3 gets 2 (1.5); 6 gets 4 (1.5), 5 (1.2)."""
    assert shares({"a": 6.0, "b": 3.0, "c": 1.0}, 8) == {"a": 5, "b": 2, "c": 1}
    assert shares({"a": 6.0, "b": 3.0, "c": 1.0}, 2) is None
    assert shares({}, 2) is None


amounts = st.floats(0.01, 100)


@given(st.lists(amounts, min_size=1, max_size=3), st.integers(1, 7))
def test_no_other_division_of_the_devices_is_faster(work, devices):
    named = dict(enumerate(work))
    found = shares(named, devices)
    divisions = [
        counts
        for counts in itertools.product(range(1, devices + 1), repeat=len(work))
        if sum(counts) == devices
    ]
    assert (found is None) == (not divisions)
    if found is not None:
        best = min(max(w / c for w, c in zip(work, counts, strict=True)) for counts in divisions)
        assert max(named[key] / found[key] for key in named) == pytest.approx(best)
        assert sum(found.values()) == devices


@given(
    st.lists(st.tuples(amounts, amounts), min_size=1, max_size=5),
    st.integers(1, 10**6),
    st.integers(1, 100),
)
def test_twice_the_prompts_take_twice_the_hours_less_the_start(stages, prompts, devices):
    rates = Rates(
        device="a device",
        samples=5,
        stages=tuple(
            StageRate(stage=f"stage {place}", seconds=seconds, start=start, spread=0.1)
            for place, (seconds, start) in enumerate(stages)
        ),
    )
    once, twice = (
        plan(rates, prompts=count, samples=5, devices=[devices]) for count in (prompts, 2 * prompts)
    )
    start = sum(start for _, start in stages) / 3600
    assert twice.hours == pytest.approx(2 * once.hours - start)
    first, second = once.devices[0], twice.devices[0]
    assert second.hours == pytest.approx(2 * first.hours - start)
    assert second.spread == pytest.approx(2 * first.spread)
    assert first.device_hours == pytest.approx(first.hours * devices)
    if first.pool_hours is not None:
        assert second.pool_hours == pytest.approx(2 * first.pool_hours - start)
        assert first.pool_hours >= first.hours or math.isclose(first.pool_hours, first.hours)

from __future__ import annotations

import json

import pytest

from orality import RecipeError
from orality.planning import Rates, StageRate, read_rates
from orality.planning.rates import rate_of


def test_the_interval_is_that_of_a_ratio():
    """10 s and 14 s for ten prompts each: 1.2 s a prompt, residuals of 2 s, so a deviation of
    sqrt(8) s and an error of sqrt(8) / 10 / sqrt(2) = 0.2 s; Student's t with one degree of freedom
    is 12.706."""
    rate, half = rate_of([10, 14], [10, 10])
    assert rate == pytest.approx(1.2)
    assert half == pytest.approx(0.2 * 12.706, rel=1e-4)


def test_shards_that_take_what_they_hold_have_no_spread():
    assert rate_of([2, 4, 6], [1, 2, 3]) == (2, pytest.approx(0))


def test_a_single_shard_tells_nothing_of_the_spread():
    assert rate_of([3], [2]) == (1.5, None)


def test_rates_are_read_as_they_are_and_as_a_plan_prints_them(tmp_path):
    rates = Rates(
        device="a device", samples=5, stages=(StageRate(stage="speech", seconds=0.5, spread=0.1),)
    )
    file = tmp_path / "rates.json"
    file.write_text(rates.model_dump_json())
    assert read_rates(file) == rates
    file.write_text(json.dumps({"plan": {}, "rates": rates.model_dump(mode="json")}))
    assert read_rates(file) == rates


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("{", "cannot be read"),
        ("[]", "holds no stage rates"),
        ('{"device": "d", "samples": 5, "stages": []}', "holds no stage rates: stages: "),
        (
            '{"device": "d", "samples": 5, "stages": [{"stage": "speech", "seconds": -1}]}',
            r"stages\.0\.seconds: input should be greater",
        ),
    ],
)
def test_a_file_of_something_else_is_named(tmp_path, text, message):
    file = tmp_path / "rates.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(RecipeError, match=message):
        read_rates(file)

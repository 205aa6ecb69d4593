"""Perplexity's averages, the trade-off over temperatures, and error rates, by hand."""

from __future__ import annotations

import math
import random

import jiwer
import pytest

from orality.errors import EvaluationError
from orality.evaluation import (
    TemperaturePoint,
    character_error_rate,
    perplexity,
    perplexity_vert_tradeoff,
    word_error_rate,
)

LOG2 = math.log(2)
# Two tokens of probability 1/2 and 1/2, one of 1/8, and nothing at all.
NLLS, TOKENS = [2 * LOG2, 3 * LOG2, 0.0], [2, 1, 0]


@pytest.mark.parametrize(
    ("aggregation", "value"),
    [
        ("token-mean", 2 ** (5 / 3)),  # five bits over three tokens
        ("exp-mean", 4.0),  # two to the mean of 1 and 3
        ("mean-exp", 5.0),  # the mean of 2 and 8
        ("median-exp", 5.0),
    ],
)
def test_the_averages_of_perplexity_differ(aggregation, value):
    found = perplexity(NLLS, TOKENS, aggregation)
    assert found.value == pytest.approx(value)
    assert (found.n, found.n_empty, found.tokens) == (2, 1, 3)
    assert found.aggregation == aggregation


def test_one_text_has_one_perplexity():
    values = {perplexity([3.0], [2], how).value for how in ("token-mean", "exp-mean", "mean-exp")}
    assert values == {math.exp(1.5)}


def test_a_median_is_not_moved_by_one_bad_text():
    assert perplexity([LOG2, 2 * LOG2, 900.0], [1, 1, 1], "median-exp").value == pytest.approx(4)


@pytest.mark.parametrize(
    ("nlls", "tokens", "message"),
    [
        ([1.0], [1, 1], "got 1 for 2"),
        ([math.nan], [1], "likelihood nan"),
        ([math.inf], [1], "likelihood inf"),
        ([None], [3], "likelihood None"),
        ([1.0], [-1], "cannot have -1 tokens"),
        ([0.0, None], [0, 0], "none of the 2 texts has a token"),
        ([], [], "none of the 0 texts"),
    ],
)
def test_a_perplexity_of_nonsense_is_refused(nlls, tokens, message):
    with pytest.raises(EvaluationError, match=message):
        perplexity(nlls, tokens)


def test_an_unknown_average_is_refused():
    with pytest.raises(EvaluationError, match="token-mean, exp-mean, mean-exp, median-exp"):
        perplexity([1.0], [1], "mean")


# VERT falls and perplexity rises with the temperature: three points on two straight lines.
CURVE = [
    TemperaturePoint(0.3, 100.0, 60.0),
    TemperaturePoint(0.7, 200.0, 40.0),
    TemperaturePoint(1.1, 600.0, 20.0),
]


def test_the_trade_off_by_hand():
    found = perplexity_vert_tradeoff(CURVE, oracle_perplexity=400.0, oracle_vert=50.0)
    assert found.perplexity_at_oracle_vert == pytest.approx(150.0)  # halfway down the first line
    assert found.vert_at_oracle_perplexity == pytest.approx(30.0)  # halfway down the second
    # (150 + 200) / 2 x 10 from VERT 50 to 40, and (200 + 400) / 2 x 10 from 40 to 30
    assert found.auc == pytest.approx(1750.0 + 3000.0)
    assert found.reason == ""


def test_the_order_of_points_does_not_matter():
    there = perplexity_vert_tradeoff(CURVE, oracle_perplexity=400.0, oracle_vert=50.0)
    back = perplexity_vert_tradeoff(CURVE[::-1], oracle_perplexity=400.0, oracle_vert=50.0)
    assert there == back


def test_a_point_on_the_oracle_needs_no_interpolation():
    found = perplexity_vert_tradeoff(CURVE, oracle_perplexity=200.0, oracle_vert=40.0)
    assert (found.perplexity_at_oracle_vert, found.vert_at_oracle_perplexity) == (200.0, 40.0)
    assert found.auc == 0.0


def test_a_curve_that_stays_short_of_true_text_says_so():
    found = perplexity_vert_tradeoff(CURVE, oracle_perplexity=50.0, oracle_vert=50.0)
    assert found.auc is None
    assert found.vert_at_oracle_perplexity is None
    assert found.perplexity_at_oracle_vert == pytest.approx(150.0)
    assert found.reason == "no temperature reaches the true text's perplexity of 50"


@pytest.mark.parametrize(
    ("points", "oracle", "message"),
    [
        (CURVE[:1], 1.0, "two temperatures or more, got 1"),
        ([CURVE[0], CURVE[0]], 1.0, "the same temperature"),
        (CURVE, math.nan, "finite"),
        ([CURVE[0], TemperaturePoint(1.0, math.inf, 1.0)], 1.0, "finite"),
    ],
)
def test_a_trade_off_of_nonsense_is_refused(points, oracle, message):
    with pytest.raises(EvaluationError, match=message):
        perplexity_vert_tradeoff(points, oracle_perplexity=oracle, oracle_vert=1.0)


def test_error_rates_agree_with_jiwer_on_200_random_pairs():
    rng = random.Random(11)

    def text():
        return " ".join(rng.choices(["a", "be", "see", "dee", "eel"], k=rng.randint(1, 15)))

    right, heard = [text() for _ in range(200)], [text() for _ in range(200)]
    words, characters = word_error_rate(right, heard), character_error_rate(right, heard)
    assert words.micro == pytest.approx(jiwer.wer(right, heard))
    assert characters.micro == pytest.approx(jiwer.cer(right, heard))
    each = [jiwer.wer(a, b) for a, b in zip(right, heard, strict=True)]
    assert words.mean == pytest.approx(sum(each) / 200)


@pytest.mark.parametrize(
    ("right", "heard", "micro"),
    [
        ("a b c d", "a b c d", 0.0),
        ("a b c d", "a x c d", 0.25),  # one substitution
        ("a b c d", "a c d", 0.25),  # one deletion
        ("a b c d", "a b x c d", 0.25),  # one insertion
        ("a", "x y z", 3.0),  # more errors than words
        ("a b", "", 1.0),
    ],
)
def test_word_errors_by_hand(right, heard, micro):
    assert word_error_rate([right], [heard]).micro == micro


@pytest.mark.parametrize(
    ("right", "heard", "micro"),
    [("abcd", "abxd", 0.25), ("ab cd", "abcd", 0.2), ("abc", "", 1.0)],
)
def test_character_errors_by_hand(right, heard, micro):
    assert character_error_rate([right], [heard]).micro == pytest.approx(micro)

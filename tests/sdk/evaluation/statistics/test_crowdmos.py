"""CrowdMOS against the values its port mean-opinion-score (MIT) was tested with."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from orality.errors import EvaluationError
from orality.evaluation import (
    crowdmos_interval,
    mean_opinion,
    naive_interval,
    opinion_score,
    opinion_variance,
    outlying_raters,
    rater_correlations,
)

_ = math.nan
RATINGS = [
    [5, 4, 1, 2, _, 5, 1, 3, 4, 4, _, 1, _],
    [4, 5, 2, 1, 4, _, 2, 2, 4, 5, 3, _, _],
    [5, 5, 1, 1, 5, _, 1, 3, 5, 5, 2, _, _],
    [5, _, 1, 2, 4, _, 1, _, 4, 4, 2, _, _],
    [_, 4, _, _, _, _, _, 2, _, _, _, _, _],
    [_] * 13,
]


def test_the_mean_is_over_all_ratings():
    assert mean_opinion(RATINGS) == pytest.approx(3.1)


def test_the_variance_is_the_published_one():
    assert opinion_variance(RATINGS) == pytest.approx(0.252300, abs=5e-7)


def test_the_interval_is_the_published_one():
    interval = crowdmos_interval(RATINGS)
    assert interval.high - 3.1 == pytest.approx(1.291190, abs=5e-7)
    assert 3.1 - interval.low == pytest.approx(1.291190, abs=5e-7)


def test_the_naive_interval_is_narrower():
    assert naive_interval(RATINGS).high - 3.1 == pytest.approx(0.474052, abs=5e-7)


@pytest.mark.parametrize(
    ("ratings", "variance"),
    [([[5, 4], [4, 5]], 0.0625), ([[5, 4]], 0.125), ([[5], [4]], 0.125)],
    ids=["2x2", "1x2", "2x1"],
)
def test_small_matrices_have_the_published_variances(ratings, variance):
    assert opinion_variance(ratings) == pytest.approx(variance)


@pytest.mark.parametrize("ratings", [[[1]], [[]], [[_, _], [_, 3]]])
def test_a_single_rating_says_nothing_of_the_variance(ratings):
    assert math.isnan(opinion_variance(ratings))
    assert crowdmos_interval(ratings) is None
    assert naive_interval(ratings) is None


def test_one_rater_leaves_the_interval_open():
    assert crowdmos_interval([[5, 4, 3]]) is None  # t has no value for 0 degrees of freedom
    assert opinion_score([[5, 4, 3]]).naive_ci is not None


def test_the_quantile_is_student_s():
    # 2 x 2: one degree of freedom, 12.706
    half = crowdmos_interval([[5, 4], [4, 5]]).high - 4.5
    assert half == pytest.approx(12.7062 * 0.25, rel=1e-5)
    narrower = crowdmos_interval(RATINGS, level=0.9).high - 3.1
    assert narrower == pytest.approx(stats.t.ppf(0.95, 5) * math.sqrt(0.2523001388889))


def test_a_rater_who_disagrees_is_an_outlier():
    truth = np.array([1, 2, 3, 4, 5, 1, 3, 5])
    good = [truth, np.clip(truth + np.array([0, 1, 0, 0, -1, 0, 1, 0]), 1, 5), truth]
    ratings = [*good, 6 - truth]
    correlations = rater_correlations(ratings)
    assert correlations[0] > 0.9
    assert correlations[3] == pytest.approx(-0.99, abs=0.02)
    assert outlying_raters(ratings) == [3]


def test_raters_are_compared_by_item_and_by_system():
    # systems a and b: all find b better, and within a system the third rater goes his own way
    ratings = [
        [[1, 2, 1], [1, 2, 1], [2, 1, 2]],
        [[4, 5, 4], [4, 5, 4], [5, 4, 5]],
    ]
    by_item = np.corrcoef([2, 1, 2, 5, 4, 5], [1, 2, 1, 4, 5, 4])[0, 1]
    assert rater_correlations(ratings)[2] == pytest.approx(by_item)
    assert rater_correlations(ratings, by="system")[2] == pytest.approx(1)
    assert rater_correlations(ratings, by="both")[2] == pytest.approx((by_item + 1) / 2)
    assert rater_correlations(ratings[0])[2] == pytest.approx(-1)
    assert outlying_raters(ratings[0]) == [2]


def test_no_rater_is_left_out_for_an_opinion_on_equal_systems():
    rng = np.random.default_rng(5)
    quality = rng.normal(0, 0.8, (2, 1, 40))
    quality -= quality.mean(axis=2, keepdims=True)  # of two systems that are as good on average
    ratings = 3 + quality + rng.normal(0, 0.6, (2, 12, 40))
    assert outlying_raters(ratings) == []
    assert len(outlying_raters(ratings, by="system")) > 2


def test_nothing_speaks_against_a_rater_who_cannot_be_compared():
    ratings = [[1, 2, 3, _], [1, 3, 3, _], [_, _, _, 5], [3, 3, 3, 3]]
    assert [math.isnan(r) for r in rater_correlations(ratings)] == [False, False, True, True]
    assert outlying_raters(ratings) == []


def test_the_interval_covers_where_the_naive_one_does_not():
    rng = np.random.default_rng(3)
    covered = naive = 0
    for _trial in range(200):
        raters, items = rng.normal(0, 0.4, (12, 1)), rng.normal(0, 0.6, (1, 30))
        ratings = 3 + raters + items + rng.normal(0, 0.7, (12, 30))
        found = opinion_score(ratings)
        covered += found.ci.low <= 3 <= found.ci.high
        naive += found.naive_ci.low <= 3 <= found.naive_ci.high
    assert covered / 200 >= 0.93
    assert naive / 200 < 0.6


def test_what_is_no_matrix_is_refused():
    with pytest.raises(EvaluationError, match="raters x items"):
        opinion_variance([1, 2, 3])
    with pytest.raises(EvaluationError, match="finite"):
        opinion_variance([[1, math.inf]])

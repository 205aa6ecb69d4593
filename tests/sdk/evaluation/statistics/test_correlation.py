"""Correlations with their intervals, and agreement of raters."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from orality.errors import EvaluationError
from orality.evaluation import correlate, krippendorff_alpha

_ = math.nan
# Krippendorff (2011), the reliability data of four observers and twelve units
OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
    [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
]


def scores(n=100, seed=0):
    rng = np.random.default_rng(seed)
    judge = rng.normal(size=n)
    return judge, 0.51 * judge + rng.normal(size=n) * 0.86


def test_pearson_s_interval_is_fisher_s():
    x, y = scores()
    found = correlate(x, y)
    expected = stats.pearsonr(x, y)
    assert found.r == pytest.approx(expected.statistic)
    assert found.p_value == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval()
    assert (found.ci.low, found.ci.high) == pytest.approx((interval.low, interval.high))


def test_the_correlation_of_align_slm_is_this_certain():
    # arctanh(.51) = .5627, +- 1.96 / sqrt(97)
    half = 1.959964 / math.sqrt(97)
    assert math.tanh(math.atanh(0.51) - half) == pytest.approx(0.35, abs=0.005)
    x = np.arange(100.0)
    y = x.copy()
    found = correlate(x, y + 49 * np.sin(1000 * x))
    assert found.ci.low < found.r < found.ci.high


def test_spearman_looks_at_ranks_and_is_wider():
    x, y = scores()
    plain, ranked = correlate(x, y), correlate(x, y, method="spearman")
    assert ranked.r == pytest.approx(stats.spearmanr(x, y).statistic)
    assert correlate(np.exp(x), y, method="spearman").r == pytest.approx(ranked.r)
    assert ranked.ci.high - ranked.ci.low > plain.ci.high - plain.ci.low


def test_clusters_widen_the_interval_when_items_repeat_each_other():
    x, y = scores(40)
    repeated = np.repeat(x, 5), np.repeat(y, 5)
    prompts = np.repeat(np.arange(40), 5).astype(str).tolist()
    naive, honest = correlate(*repeated), correlate(*repeated, prompts)
    assert honest.ci.method == "cluster-bootstrap"
    assert honest.ci.high - honest.ci.low > 1.7 * (naive.ci.high - naive.ci.low)
    single = correlate(x, y)
    assert honest.ci.high - honest.ci.low == pytest.approx(single.ci.high - single.ci.low, rel=0.35)


def test_perfect_agreement_is_one():
    found = correlate([1, 2, 3, 4], [2, 4, 6, 8])
    assert (found.r, found.ci.low, found.ci.high) == pytest.approx((1, 1, 1))


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([1, 2], [1, 2], "at least three"),
        ([1, 1, 1], [1, 2, 3], "differ"),
        ([1, 2, math.nan], [1, 2, 3], "finite"),
        ([1, 2, 3], [1, 2], "equally long"),
    ],
)
def test_what_correlates_with_nothing_is_an_error(a, b, message):
    with pytest.raises(EvaluationError, match=message):
        correlate(a, b)


def test_a_missing_cluster_is_an_error():
    with pytest.raises(EvaluationError, match="no cluster"):
        correlate([1, 2, 3], [1, 3, 2], ["a", "", "b"])


@pytest.mark.parametrize(
    ("scale", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_krippendorff_s_alpha_is_the_published_one(scale, alpha):
    assert krippendorff_alpha(OBSERVERS, scale=scale) == pytest.approx(alpha, abs=5e-4)


def test_agreement_is_undefined_without_differences():
    assert math.isnan(krippendorff_alpha([[3, 3], [3, 3]]))
    assert math.isnan(krippendorff_alpha([[1, _], [_, 2]]))


def test_weights_are_repetitions():
    from orality.evaluation.statistics.correlation import _weighted

    x, y = np.array([1.0, 2.0, 2.0, 5.0]), np.array([2.0, 1.0, 4.0, 3.0])
    weights = np.array([[1.0, 2.0, 0.0, 3.0], [1.0, 1.0, 1.0, 1.0], [4.0, 0.0, 0.0, 0.0]])
    for ranked, function in ((False, stats.pearsonr), (True, stats.spearmanr)):
        found = _weighted(x, y, weights, ranked=ranked)
        for row, value in zip(weights[:2], found, strict=False):
            drawn = np.repeat(np.arange(4), row.astype(int))
            assert value == pytest.approx(function(x[drawn], y[drawn]).statistic)
        assert math.isnan(found[2])

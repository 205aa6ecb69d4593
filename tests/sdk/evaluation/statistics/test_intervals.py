"""Intervals that cover, tests that do not cry wolf, and cases worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from orality.errors import EvaluationError
from orality.evaluation.statistics.intervals import (
    accuracy_interval,
    binomial_interval,
    bootstrap_interval,
    cluster_means,
    holm,
    mcnemar_p,
    pair_items,
    paired_interval,
    permutation_p,
)


def test_the_cluster_bootstrap_covers_the_truth_in_93_to_97_of_100():
    rng = np.random.default_rng(7)
    covered = 0
    for trial in range(500):
        # 60 words in 3 voices, which agree: treating 180 values as independent would not cover
        difficulty = rng.normal(0.6, 0.2, size=(60, 1))
        values = (difficulty + rng.normal(0, 0.1, size=(60, 3))).ravel()
        clusters = np.repeat(np.arange(60), 3).astype(str)
        means = cluster_means(values.tolist(), clusters.tolist())
        interval = bootstrap_interval(list(means.values()), resamples=1000, seed=trial)
        covered += interval.low <= 0.6 <= interval.high
    assert 0.93 <= covered / 500 <= 0.97


def test_the_bootstrap_covers_accuracies_too():
    rng = np.random.default_rng(8)
    covered = 0
    for trial in range(500):
        answers = rng.binomial(1, 0.55, size=120).astype(float)
        interval = accuracy_interval(answers, resamples=600, seed=trial)
        covered += interval.low <= 0.55 <= interval.high
    assert 0.93 <= covered / 500 <= 0.97


def test_the_permutation_test_cries_wolf_in_at_most_6_of_100():
    rng = np.random.default_rng(9)
    alarms = 0
    for trial in range(500):
        shared = rng.normal(3, 1, size=40)
        a, b = (np.clip(np.round(shared + rng.normal(0, 1, size=40)), 1, 5) for _ in "ab")
        alarms += permutation_p(a, b, resamples=499, seed=trial) <= 0.05
    assert alarms / 500 <= 0.06


def test_the_permutation_test_finds_a_real_difference():
    rng = np.random.default_rng(10)
    shared = rng.normal(3, 1, size=60)
    assert permutation_p(shared + rng.normal(0.5, 0.5, size=60), shared) < 0.001


def test_few_clusters_are_permuted_exactly():
    # differences 1, 2, 3: of the 8 sign patterns only +++ and --- reach |6|
    assert permutation_p([2, 4, 6], [1, 2, 3]) == 0.25
    # 1, 1, -1 sums to 1: all 8 patterns have |sum| of 1 or 3
    assert permutation_p([1, 1, 0], [0, 0, 1]) == 1.0


def test_the_monte_carlo_p_value_is_never_zero():
    a = np.full(30, 1.0)
    assert permutation_p(a, a - 1, resamples=99) == 0.01


def test_no_difference_has_a_p_value_of_one():
    assert permutation_p([0.5, 1.0], [0.5, 1.0]) == 1.0
    assert mcnemar_p([0, 1], [0, 1]) == 1.0


def test_mcnemar_is_the_exact_binomial_of_the_discordant_pairs():
    # 5 wins, 1 loss: 2 * (C(6,0) + C(6,1)) / 2^6 = 14/64
    a = [1, 1, 1, 1, 1, 0, 1, 0]
    b = [0, 0, 0, 0, 0, 1, 1, 0]
    assert mcnemar_p(a, b) == pytest.approx(14 / 64)
    assert mcnemar_p(b, a) == pytest.approx(14 / 64)


def test_mcnemar_refuses_ties():
    with pytest.raises(EvaluationError, match="right"):
        mcnemar_p([0.5], [1.0])


def test_holm_steps_down_and_stays_monotone():
    # sorted .01*4, .02*3, .03*2, .2*1
    assert holm([0.03, 0.01, 0.2, 0.02]) == pytest.approx([0.06, 0.04, 0.2, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_paired_interval_is_narrower_than_what_the_systems_share():
    rng = np.random.default_rng(11)
    shared = rng.normal(0, 5, size=100)
    a, b = shared + 1 + rng.normal(0, 0.1, size=100), shared
    paired, alone = paired_interval(a, b), bootstrap_interval(a)
    assert paired.high - paired.low < 0.1 < 1 < alone.high - alone.low
    assert paired.low < 1 < paired.high


def test_a_transform_acts_on_the_mean():
    values = np.log([10.0, 20.0, 40.0, 15.0, 30.0])
    plain, changed = bootstrap_interval(values), bootstrap_interval(values, transform=np.exp)
    assert changed.low == pytest.approx(math.exp(plain.low), rel=1e-2)
    constant = paired_interval([2.0] * 3, [1.0] * 3, transform=np.exp)
    assert constant.low == constant.high == pytest.approx(math.exp(2) - math.exp(1))


def test_unanimous_accuracies_get_the_exact_binomial_interval():
    interval = accuracy_interval([1.0] * 10)
    # (alpha / 2)^(1/n)
    assert (interval.low, interval.high) == (pytest.approx(0.025**0.1), 1.0)
    assert interval.method == "clopper-pearson"


def test_one_cluster_has_no_interval():
    assert bootstrap_interval([1.0]) is None
    assert paired_interval([1.0], [0.5]) is None


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(0).normal(size=30)
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, seed=3) != bootstrap_interval(values, seed=4)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_no_finite_number_is_refused(bad):
    with pytest.raises(EvaluationError, match="finite"):
        bootstrap_interval([1.0, bad])


def test_unequal_lengths_are_refused():
    with pytest.raises(EvaluationError, match="got 2 and 1"):
        permutation_p([1, 2], [1])


def test_items_and_clusters_may_be_given_together():
    values, words = [1.0, 0.0, 1.0, 1.0, 0.5], ["a", "a", "b", "c", "c"]
    by_hand = [0.5, 1.0, 0.75]
    assert bootstrap_interval(values, words) == bootstrap_interval(by_hand)
    assert accuracy_interval(values, words) == bootstrap_interval(by_hand)
    other = [0.0] * 5
    assert permutation_p(values, other, words) == permutation_p(by_hand, [0, 0, 0]) == 0.25
    assert paired_interval(values, other, words) == paired_interval(by_hand, [0.0] * 3)


@pytest.mark.parametrize("missing", [None, "", math.nan])
def test_a_missing_cluster_is_an_error(missing):
    with pytest.raises(EvaluationError, match="has no cluster"):
        bootstrap_interval([1.0, 2.0], ["a", missing])
    with pytest.raises(EvaluationError, match="2 values and 1 clusters"):
        permutation_p([1.0, 2.0], [1.0, 2.0], ["a"])


def test_a_missing_value_is_an_error_not_a_drop():
    with pytest.raises(EvaluationError, match="finite"):
        cluster_means([1.0, math.nan], ["a", "b"])
    with pytest.raises(EvaluationError):
        bootstrap_interval([1.0, None])


def test_items_are_paired_by_id_and_a_lone_one_is_an_error():
    assert pair_items({"x": 1.0, "y": 2.0}, {"y": 3.0, "x": 4.0}) == ([1.0, 2.0], [4.0, 3.0])
    with pytest.raises(EvaluationError, match=r"2 items .* y \(not in the second\), z \(not in"):
        pair_items({"x": 1.0, "y": 2.0}, {"x": 1.0, "z": 2.0})


def test_treating_voices_as_independent_would_cry_wolf():
    rng = np.random.default_rng(13)
    honest = naive = 0
    for trial in range(1000):
        # 40 words in 4 voices; systems differ by word, in no direction, alike in all voices
        change = np.repeat(rng.normal(0, 1, size=40), 4) + rng.normal(0, 0.2, size=160)
        zeros = np.zeros(160)
        words = np.repeat(np.arange(40), 4).astype(str).tolist()
        honest += permutation_p(change, zeros, words, resamples=299, seed=trial) <= 0.05
        naive += permutation_p(change, zeros, resamples=299, seed=trial) <= 0.05
    assert honest / 1000 <= 0.06
    assert naive / 1000 > 0.2


def test_a_share_has_its_exact_interval():
    interval = binomial_interval(7, 10)
    # Clopper and Pearson: beta quantiles .025 of (7, 4) and .975 of (8, 3)
    assert (interval.low, interval.high) == pytest.approx((0.347547, 0.933260), abs=1e-6)
    with pytest.raises(EvaluationError, match="0 of 0"):
        binomial_interval(0, 0)


def test_holm_refuses_what_is_no_probability():
    with pytest.raises(EvaluationError, match="nan"):
        holm([0.1, math.nan])

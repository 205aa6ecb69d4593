"""Gains over a curve across temperatures, derived by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from orality.errors import EvaluationError
from orality.evaluation.continuations.summarize import cluster_rows, figure_of, summarize
from orality.evaluation.frontier.curve import ClusterPoint, curve_score, gain_over_curve
from orality.evaluation.results import Item
from orality.evaluation.statistics.intervals import bootstrap_p, expanded_tails

MEAN = figure_of("mean")


def point(scores, repeats):
    """One value per prompt; the diversity is the mean of `repeats`."""
    return ClusterPoint(
        np.array(scores, float), np.stack([np.ones(len(repeats)), np.array(repeats, float)], axis=1)
    )


def at(diversity, places, scores):
    column = [np.array(x, float)[:, None] for x in (places, scores)]
    return float(curve_score(np.array([float(diversity)]), *column)[0])


def test_between_two_temperatures_the_curve_is_a_straight_line():
    # score 3.6 at auto-BLEU .10, 3.2 at .06: a quarter of the way from .06 is .07, 3.3
    assert at(0.07, [0.10, 0.06], [3.6, 3.2]) == pytest.approx(3.3)
    assert at(0.06, [0.10, 0.06], [3.6, 3.2]) == 3.2


def test_beyond_the_curve_its_nearest_end_counts():
    assert at(0.01, [0.10, 0.06], [3.6, 3.2]) == 3.2
    assert at(0.50, [0.10, 0.06], [3.6, 3.2]) == 3.6
    assert at(0.50, [0.10], [3.6]) == 3.6


def test_where_a_curve_passes_twice_the_highest_score_counts():
    # 3.0 at .2, down to 2.0 at .1, back to 2.6 at .3: .15 is met at 2.5 and at 2.15
    assert at(0.15, [0.2, 0.1, 0.3], [3.0, 2.0, 2.6]) == pytest.approx(2.5)
    # two temperatures of the same diversity
    assert at(0.2, [0.2, 0.2], [3.0, 3.4]) == 3.4


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(1, 5)), min_size=1, max_size=6
    ),
    st.floats(-1, 2),
)  # fmt: skip
def test_a_curve_never_leaves_the_range_of_its_points(points, diversity):
    places, scores = zip(*points, strict=True)
    found = at(diversity, places, scores)
    assert min(scores) - 1e-9 <= found <= max(scores) + 1e-9


def test_a_gain_is_the_score_above_the_curve_at_the_same_diversity():
    # the baseline: cold 3.5 at .10, hot 3.1 at .06; the system has 3.6 at .08, where it has 3.3
    cold, hot = point([3, 4], [0.12, 0.08]), point([3, 3.2], [0.06, 0.06])
    found = gain_over_curve(point([3.4, 3.8], [0.08, 0.08]), [cold, hot], MEAN)
    assert found.difference == pytest.approx(0.3)
    assert found.curve == pytest.approx(3.3)
    assert found.diversity == pytest.approx(0.08)
    assert (found.outside, found.n) == ("", 2)


def test_a_system_outside_the_curve_is_flagged():
    cold, hot = point([3, 4], [0.12, 0.08]), point([3, 3.2], [0.06, 0.06])
    less = gain_over_curve(point([3.3, 3.3], [0.05, 0.01]), [cold, hot], MEAN)
    assert (less.outside, less.difference) == ("below", pytest.approx(0.2))
    more = gain_over_curve(point([3.3, 3.3], [0.2, 0.4]), [cold, hot], MEAN)
    assert (more.outside, more.difference) == ("above", pytest.approx(-0.2))


def test_a_gain_that_all_prompts_share_is_certain_and_one_of_nothing_is_none():
    rng = np.random.default_rng(0)
    scores, repeats = rng.normal(3, 0.5, 40), rng.uniform(0, 0.2, 40)
    cold, hot = point(scores + 0.4, repeats + 0.1), point(scores, repeats)
    # between the two in each prompt, and 0.3 above the line: 0.2 + 0.3
    found = gain_over_curve(point(scores + 0.5, repeats + 0.05), [cold, hot], MEAN)
    assert found.difference == pytest.approx(0.3)
    assert found.ci.low == pytest.approx(0.3)
    assert found.ci.high == pytest.approx(0.3)
    assert found.p_value < 0.001
    same = gain_over_curve(point(scores + 0.2, repeats + 0.05), [cold, hot], MEAN)
    assert same.difference == pytest.approx(0.0, abs=1e-12)


def test_a_system_that_is_a_point_of_the_curve_gains_nothing():
    cold, hot = point([3, 4, 5], [0.3, 0.2, 0.1]), point([2, 3, 3], [0.1, 0.1, 0.0])
    found = gain_over_curve(cold, [cold, hot], MEAN)
    assert (found.difference, found.p_value, found.outside) == (0.0, 1.0, "")


def test_the_interval_excludes_zero_where_the_p_value_is_below_its_level():
    rng = np.random.default_rng(1)
    for shift in (0.05, 0.15, 0.2, 0.25, 0.3, 0.4):
        base, other = rng.normal(3, 0.4, 30), rng.normal(3.2, 0.4, 30)
        curve = [point(other, np.full(30, 0.2)), point(base, np.full(30, 0.1))]
        own = point(rng.normal(3.1 + shift, 0.4, 30), np.full(30, 0.15))
        found = gain_over_curve(own, curve, MEAN)
        assert (found.p_value < 0.05) == (found.ci.low > 0 or found.ci.high < 0)


def test_true_curves_are_called_gains_as_rarely_as_they_should():
    rng = np.random.default_rng(2)
    called = 0
    for trial in range(300):
        prompt = rng.normal(0, 0.3, 40)
        # score 3 + diversity, at .1, .3 and .2: the system lies on the line
        cold, hot, own = (
            point(3 + d + prompt + rng.normal(0, 0.3, 40), d + rng.normal(0, 0.02, 40))
            for d in (0.3, 0.1, 0.2)
        )
        found = gain_over_curve(own, [cold, hot], MEAN, resamples=399, seed=trial)
        called += found.p_value < 0.05
    assert called / 300 <= 0.08


def test_a_bootstrap_p_value_inverts_the_interval():
    draws = np.sort(np.random.default_rng(3).normal(1, 0.5, 9999))
    p = bootstrap_p(draws, 20)
    low, _ = np.quantile(draws, expanded_tails(20, 1 - p))
    assert low == pytest.approx(0, abs=0.01)
    # no draw on the other side: 1 of 10,000, then the wider tails of 20 clusters
    expected = 2 * stats.t.cdf(stats.norm.ppf(1e-4) * np.sqrt(19 / 20), 19)
    assert bootstrap_p(np.ones(9999), 20) == pytest.approx(expected)
    assert bootstrap_p(np.zeros(10), 5) == 1.0


def test_vert_is_a_figure_of_sums_over_prompts():
    items = [
        Item(f"{p}-{i}", "s", "vert/x", 0.0, p, {"self_bleu": a, "auto_bleu": b})
        for p, i, a, b in (("p", 0, 0.4, 0.1), ("p", 1, 0.6, 0.3), ("q", 0, 0.2, 0.2))
    ]
    rows = cluster_rows(items, "vert")
    np.testing.assert_allclose(rows["p"], [2, 1.0, 0.4])
    total = np.sum(list(rows.values()), axis=0)
    # means .4 and .2
    assert figure_of("vert")(total) == pytest.approx(np.sqrt(0.4 * 0.2))
    assert summarize(items, "vert", seed=0).metric.value == pytest.approx(np.sqrt(0.08))


def test_points_without_prompts_or_of_other_prompts_are_refused():
    with pytest.raises(EvaluationError, match="one point or more"):
        gain_over_curve(point([1, 2], [0, 0]), [], MEAN)
    with pytest.raises(EvaluationError, match="same prompts"):
        gain_over_curve(point([1, 2], [0, 0]), [point([1], [0])], MEAN)
    with pytest.raises(EvaluationError, match="finite"):
        gain_over_curve(point([1, np.nan], [0, 0]), [point([1, 2], [0, 0])], MEAN)
    alone = gain_over_curve(point([2], [0.1]), [point([1], [0.1])], MEAN)
    assert (alone.difference, alone.ci, alone.p_value) == (1.0, None, 1.0)

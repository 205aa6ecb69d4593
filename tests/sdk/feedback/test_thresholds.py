from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from orality import OralityError
from orality.feedback.select import Candidate
from orality.feedback.thresholds import SelectionRule, usual_gap, usual_repetition
from orality.recipe.pair_sections import SelectionOptions, Thresholds

AUTO = Thresholds(rejected="auto", chosen="auto")


def rule(thresholds=AUTO, **options):
    return SelectionRule(thresholds=thresholds, options=SelectionOptions(**options))


def prompts(*rows):
    """Candidates by prompt, from rows of scores; nothing repeats itself."""
    return {
        str(n): [Candidate(f"{n}-{i}", score, 0.0) for i, score in enumerate(row)]
        for n, row in enumerate(rows)
    }


def test_a_round_may_be_just_auto():
    assert TypeAdapter(Thresholds).validate_python("auto") == AUTO


@pytest.mark.parametrize(
    "given",
    [{"rejected": "auto", "chosen": 3}, {"rejected": "110%", "chosen": 3}, "often"],
)
def test_thresholds_that_mean_nothing_are_refused(given):
    with pytest.raises(ValidationError):
        TypeAdapter(Thresholds).validate_python(given)


def test_numbers_need_no_scores():
    found = rule(Thresholds(rejected=1, chosen=3)).fixed
    assert found is not None
    assert (found.rejected, found.chosen, found.max_auto_bleu) == (1, 3, 0.1)
    assert rule(Thresholds(rejected=1, chosen=3), min_gap="auto").fixed is None


def test_quantiles_are_scores_that_were_given():
    scores = prompts([1, 2, 3, 4, 5])
    found = rule(Thresholds(rejected="30%", chosen="70%")).resolve(scores)
    # Ranks 0 to 4: the quantile .3 lies between 2 and 3, .7 between 3 and 4.
    assert (found.rejected, found.chosen) == (2, 4)


def test_auto_takes_the_strictest_quantiles_that_yield_enough():
    """Two prompts of three pair at 1 and 5; the third, at 2 and 4, needs wider quantiles."""
    scores = prompts([1, 5, 3], [1, 5, 3], [2, 4, 3])
    strict = rule(wanted_yield=0.6).resolve(scores)
    assert (strict.rejected, strict.chosen) == (1, 5)
    wide = rule(wanted_yield=1.0).resolve(scores)
    assert (wide.rejected, wide.chosen) == (2, 4)


def test_auto_lets_thresholds_overlap_where_prompts_differ_more_than_their_continuations():
    scores = prompts([1.0, 1.5], [4.0, 4.5], [2.0, 2.5])
    found = rule(wanted_yield=1.0).resolve(scores)
    assert found.yield_of(scores) == 1
    assert found.rejected > found.chosen


def test_auto_works_on_a_narrow_range():
    wide = prompts([1, 2, 3, 4], [2, 3, 4, 5])
    narrow = {
        name: [Candidate(i.id, 0.5 + i.score / 1000, 0.0) for i in some]
        for name, some in wide.items()
    }
    first, second = (rule(min_gap="auto").resolve(scores) for scores in (wide, narrow))
    assert second.rejected == pytest.approx(0.5 + first.rejected / 1000)
    assert second.chosen == pytest.approx(0.5 + first.chosen / 1000)
    assert second.min_gap == pytest.approx(first.min_gap / 1000)


def test_auto_needs_scores():
    with pytest.raises(OralityError, match="the judge has given none"):
        rule().resolve({"a": [Candidate("a1", None, 0.0)]})


def test_the_usual_gap_is_the_deviation_within_prompts():
    # (1, 3): squares 2, one degree of freedom; (10, 10, 13): squares 6, two. sqrt(8 / 3).
    assert usual_gap(prompts([1, 3], [10, 10, 13], [7])) == pytest.approx(math.sqrt(8 / 3))
    assert usual_gap(prompts([1])) == 0


def test_usual_repetition_allows_one_repeated_bigram_in_a_short_text():
    assert usual_repetition([], [15, 15, 9]) == pytest.approx(2 / 14)
    assert usual_repetition([], [2]) == 1


def test_usual_repetition_follows_the_true_continuations_where_there_are_enough():
    """Twenty texts of 4 bigrams, one of which says the same twice: quantiles .95 of 19 zeros
    and .5 lie at rank 18.05, that is .05 of the way from 0 to .5."""
    texts = ["a b c d e"] * 19 + ["a b a b c"]
    assert usual_repetition(texts, [1000]) == pytest.approx(0.025)
    assert usual_repetition(texts[1:], [1000]) == pytest.approx(2 / 999)


score_rows = st.lists(st.lists(st.floats(1, 5), min_size=2, max_size=5), min_size=1, max_size=12)


@given(rows=score_rows, wanted=st.floats(0.05, 1))
def test_auto_yields_what_is_wanted_or_what_no_thresholds_would(rows, wanted):
    scores = prompts(*rows)
    found = rule(wanted_yield=wanted).resolve(scores)
    most = sum(max(row) > min(row) for row in rows) / len(rows)
    assert found.yield_of(scores) >= min(wanted, most)


def test_shuffled_scores_select_pairs_that_the_true_scores_do_not_favor():
    """The control: nothing but the score decides which side is chosen."""
    random = np.random.default_rng(0)
    true = prompts(*random.normal(3.3, 0.5, (400, 5)).tolist())
    score_of = {item.id: item.score for some in true.values() for item in some}
    shuffled = {
        name: [
            Candidate(item.id, some[place].score, 0.0)
            for item, place in zip(some, random.permutation(5), strict=True)
        ]
        for name, some in true.items()
    }

    def true_gaps(candidates):
        selection = rule(min_gap="auto", pairs_per_prompt=1).resolve(candidates)
        picked = [pair for some in candidates.values() for pair in selection.pick(some)]
        return np.array([score_of[p.chosen.id] - score_of[p.rejected.id] for p in picked])

    real, control = true_gaps(true), true_gaps(shuffled)
    assert real.min() >= 0.4
    # A gap of two independent scores has the deviation .5 sqrt 2; three standard errors of it.
    assert abs(control.mean()) < 3 * 0.5 * np.sqrt(2 / len(control))

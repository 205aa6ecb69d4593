from __future__ import annotations

from dataclasses import replace

import pytest

from orality.errors import TrainingError
from orality.training.rows.gaps import check_gaps, mean_gap, score_gap


def scored(pairs, *scores):
    return [
        replace(pair, chosen_score=chosen, rejected_score=rejected)
        for pair, (chosen, rejected) in zip(pairs, scores, strict=True)
    ]


def test_the_gap_is_the_chosen_score_less_the_rejected(make_pairs):
    pairs = scored(make_pairs(2), (4.0, 2.5), (3.0, 3.0))
    check_gaps(pairs)
    assert [score_gap(pair) for pair in pairs] == [1.5, 0.0]
    assert mean_gap(pairs) == 0.75


def test_alternatives_share_one_weight_in_the_mean(make_pairs):
    """Two alternatives of gap 1 and a pair of gap 4: (1 + 4) / 2."""
    pairs = scored(make_pairs(3), (2.0, 1.0), (2.0, 1.0), (5.0, 1.0))
    draw = [replace(pair, prompt_id="p", metadata={"draw": "a"}) for pair in pairs[:2]]
    assert mean_gap([*draw, pairs[2]]) == pytest.approx(2.5)


def test_pairs_without_scores_are_named(make_pairs):
    pairs = scored(make_pairs(3), (4.0, 2.0), (4.0, None), (None, 1.0))
    with pytest.raises(TrainingError, match=r"2 of 3 pairs \(0-1, ...\) have no scores"):
        check_gaps(pairs)


def test_pairs_the_wrong_way_round_are_named(make_pairs):
    pairs = scored(make_pairs(2), (4.0, 2.0), (1.0, 2.0))
    with pytest.raises(TrainingError, match=r"in 1 of 2 pairs \(0-1, ...\) the rejected side has"):
        check_gaps(pairs)


def test_gaps_of_nothing_but_zero_weigh_nothing(make_pairs):
    with pytest.raises(TrainingError, match="all pairs have a score gap of 0"):
        mean_gap(scored(make_pairs(1), (3.0, 3.0)))

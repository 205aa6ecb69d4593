from __future__ import annotations

from dataclasses import replace

import pytest

from orality import StoreError
from orality.feedback import Selection
from orality.feedback.select import Candidate
from orality.feedback.yields import Yield, read_round, score_step, threshold_grid, yields


def test_yields_count_the_prompts_that_give_a_pair():
    """By equation 2: a rejected side at or below, a chosen one at or above that repeats little."""
    candidates = {
        "a": [Candidate("a1", 1.0, 0.0), Candidate("a2", 4.0, 0.0)],
        "b": [Candidate("b1", 2.0, 0.0), Candidate("b2", 3.0, 0.0)],
        "c": [Candidate("c1", 4.5, 0.0), Candidate("c2", 4.5, 0.9)],  # one repeats itself
        "d": [Candidate("d1", None, 0.0), Candidate("d2", 5.0, 0.0)],
    }
    any_of_these = [(1, 4), (2, 3), (1, 5)]
    selection = Selection(rejected=0, chosen=0, max_auto_bleu=0.1)
    found = yields(candidates, any_of_these, selection)
    assert found == [Yield(1, 4, 1), Yield(2, 3, 2), Yield(1, 5, 0)]
    found = yields(candidates, any_of_these, replace(selection, repetition_pairs=True))
    assert found == [Yield(1, 4, 2), Yield(2, 3, 3), Yield(1, 5, 0)]


def test_the_grid_holds_whole_numbers_and_what_is_used():
    assert threshold_grid([1.0, 2.5], [(1.0, 2.5)]) == [
        (1.0, 2.0), (1.0, 2.5), (1.0, 3.0), (2.0, 3.0)
    ]  # fmt: skip
    assert threshold_grid([-120.0, -3.0], [(-90.0, -20.0)]) == [(-90.0, -20.0)]


@pytest.mark.parametrize(("scores", "step"), [([1.0, 5.0], 0.5), ([-30.0, -10.0], 2.0), ([], 0.5)])
def test_bins_fit_the_scale(scores, step):
    assert score_step(scores) == step


def test_a_folder_without_verdicts_is_an_error(tmp_path):
    with pytest.raises(StoreError, match="holds no verdicts"):
        read_round(tmp_path)

"""Figures and comparisons from items: what is paired with what."""

from __future__ import annotations

from pathlib import Path

import pytest

from orality.errors import EvaluationError
from orality.evaluation.aggregate import compare, compare_systems, measure_accuracy, measure_items
from orality.evaluation.benchmarks.pairs import BenchmarkPair
from orality.evaluation.likelihood.accuracy import PairOutcome, accuracy
from orality.evaluation.results import Item


def measured(system, answers):
    """`answers`: by pair id `word-voice`; None where the pair could not be scored."""
    outcomes = [
        PairOutcome(BenchmarkPair(name, Path(), Path(), None, name[0]), value)
        for name, value in answers.items()
    ]
    return measure_accuracy(system, "swuggy/mean", "sWUGGY", None, accuracy(outcomes), seed=0)


def test_items_that_one_system_lacks_are_left_out_of_both_and_counted():
    base = measured("base", {"a-1": 1, "a-2": 0, "b-1": 0, "c-1": 0})
    new = measured("new", {"a-1": 1, "a-2": None, "b-1": 1, "c-1": 1})
    found = compare(new, base, seed=0)
    # word a counts by its first voice alone, 1 and 1; by cluster it would have been 1 and .5
    assert found.difference == pytest.approx(2 / 3)
    assert (found.n, found.n_unpaired, found.test) == (3, 1, "mcnemar-exact")
    assert found.p_value == 0.5


def test_voices_that_disagree_make_it_a_permutation_test():
    base = measured("base", {"a-1": 1, "a-2": 0, "b-1": 0})
    new = measured("new", {"a-1": 1, "a-2": 1, "b-1": 1})
    assert compare(new, base, seed=0).test == "paired-permutation"


def test_one_item_in_two_clusters_is_other_data():
    base, new = measured("base", {"a-1": 1, "b-1": 0}), measured("new", {"a-1": 1, "b-1": 1})
    moved = {**new.items, "b-1": ("z", 1.0)}
    object.__setattr__(new, "items", moved)
    with pytest.raises(EvaluationError, match="not measured on the same data"):
        compare(new, base, seed=0)


def test_samples_are_paired_by_prompt():
    def scores(system, values):
        items = [
            Item(f"{p}-{i}", system, "judge/j", v, p) for p, row in values.items()
            for i, v in enumerate(row)
        ]  # fmt: skip
        return measure_items(items, benchmark="prompts", seed=0)

    found = compare(
        scores("new", {"p": [5, 4], "q": [3, None], "r": [2, 2]}),
        scores("base", {"p": [3, 3], "q": [2, 2], "s": [1, 1]}),
        seed=0,
    )
    assert found.difference == pytest.approx(((4.5 - 3) + (3 - 2)) / 2)
    assert (found.n, found.n_unpaired) == (2, 2)
    assert compare(scores("new", {"p": [1]}), scores("base", {"q": [1]}), seed=0) is None


def test_a_sample_without_a_prompt_is_an_error():
    with pytest.raises(EvaluationError, match="no cluster"):
        measure_items([Item("a", "s", "judge/j", 3.0, "")], benchmark="prompts", seed=0)


def test_holm_is_also_corrected_within_a_column():
    def scores(system, metric, values):
        items = [Item(f"p{i}", system, metric, v, f"p{i}") for i, v in enumerate(values)]
        return measure_items(items, benchmark="prompts", seed=0)

    def system(name, judged, mos):
        return [scores(name, "judge/j", judged), scores(name, "mos/m", mos)]

    found = compare_systems(
        {
            "base": system("base", [0] * 6, [0] * 6),
            "one": system("one", [1] * 6, [1, 1, 1, 1, 0, 0]),
            "two": system("two", [1] * 5 + [0], [0] * 6),
        },
        "base",
        seed=0,
    )
    against_base = {(c.metric, c.a): c for c in found if c.b == "base"}
    # signs of k equal differences: p = 2 / 2^k
    assert {key: c.p_value for key, c in against_base.items()} == {
        ("judge/j", "one"): 2 / 64, ("judge/j", "two"): 2 / 32,
        ("mos/m", "one"): 2 / 16, ("mos/m", "two"): 1.0,
    }  # fmt: skip
    # of four: 4 x 2/64, 3 x 2/32, 2 x 2/16, 1; of two in a column: 2 x the lower, then the other
    assert {key: c.p_holm for key, c in against_base.items()} == {
        ("judge/j", "one"): 0.125, ("judge/j", "two"): 0.1875,
        ("mos/m", "one"): 0.25, ("mos/m", "two"): 1.0,
    }  # fmt: skip
    assert {key: c.p_holm_column for key, c in against_base.items()} == {
        ("judge/j", "one"): 0.0625, ("judge/j", "two"): 0.0625,
        ("mos/m", "one"): 0.25, ("mos/m", "two"): 1.0,
    }  # fmt: skip
    # one test in turn (two after one) and column: nothing to correct
    assert [c.p_holm_column == c.p_value for c in found if c.b == "one"] == [True, True]

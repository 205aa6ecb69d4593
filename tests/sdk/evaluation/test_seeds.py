"""Several seeds of one recipe as one table."""

from __future__ import annotations

import math

import pytest

from orality.errors import EvaluationError
from orality.evaluation import (
    markdown_table,
    pool_seeds,
    read_results,
    regenerate_tables,
    summarize_seeds,
)
from orality.evaluation.results import Item, Metric, Results, System, write_items, write_results

WUGGY, PPL = "swuggy/mean", "ppl/j/cond/exp-mean"


def run_of(seed, *, better=(1, 1, 1, 1), drift=0.0):
    """Two systems on four words in two voices, and two perplexities each."""
    items, metrics = [], []
    for system, answers in (("base", (0, 1, 0, 1)), ("new", better)):
        for word, value in enumerate(answers):
            items += [
                Item(f"{word}-{voice}", system, WUGGY, float(value), str(word), {"group": "1-5"})
                for voice in "ab"
            ]
        accuracy = sum(answers) / 4
        metrics += [
            Metric(system, WUGGY, "sWUGGY", group, accuracy, 8, 0, 0, None)
            for group in (None, "in_vocab")
        ]
        perplexities = [10 + drift, 40 + drift]
        items += [Item(f"p{i}-0", system, PPL, p, f"p{i}") for i, p in enumerate(perplexities)]
        metrics.append(
            Metric(system, PPL, "prompts", None, math.sqrt(math.prod(perplexities)), 2, 0, 0, None)
        )
    systems = [System("base"), System("new")]
    return Results(systems, metrics, (), {"baseline": "base", "seed": seed}, "r"), items


def test_the_mean_and_standard_deviation_are_over_seeds():
    found = summarize_seeds({"1": 0.5, "2": 0.7, "3": 0.6})
    assert (found.mean, found.sd) == (pytest.approx(0.6), pytest.approx(0.1))
    assert found.values == {"1": 0.5, "2": 0.7, "3": 0.6}
    assert summarize_seeds({"1": 0.5}).sd is None


@pytest.mark.parametrize("values", [{}, {"1": 0.5, "2": math.nan}])
def test_a_seed_without_a_value_is_an_error(values):
    with pytest.raises(EvaluationError):
        summarize_seeds(values)


def test_pooled_figures_hold_every_seed():
    pooled = pool_seeds({"1": run_of(1), "2": run_of(2, better=(1, 1, 0, 1))})
    found = pooled.find("new", WUGGY)
    assert found.value == pytest.approx(0.875)
    assert found.sd == pytest.approx(0.1767767)
    assert found.seeds == {"1": 1.0, "2": 0.75}
    assert found.n == 16
    assert pooled.find("base", WUGGY).sd == 0
    # the geometric means 20 and sqrt(10 * 40)
    assert pooled.find("base", PPL).value == pytest.approx(20)


def test_pooled_comparisons_pair_items_within_seeds_and_keep_words_whole():
    pooled = pool_seeds({"1": run_of(1), "2": run_of(2, better=(1, 1, 0, 1))})
    test = pooled.compare(WUGGY, "new", "base")
    # by word, over seeds and voices: 1, 0, .5, 0; of the 4 sign patterns 2 reach the sum 1.5
    assert test.difference == pytest.approx(0.375)
    assert (test.n, test.n_unpaired, test.test) == (4, 0, "paired-permutation")
    assert test.p_value == 0.5
    assert pooled.compare(WUGGY, "new", "base", "in_vocab").difference == pytest.approx(0.375)


def test_the_table_shows_the_spread_of_seeds():
    text = markdown_table(pool_seeds({"1": run_of(1), "2": run_of(2, better=(1, 1, 0, 1))}))
    assert "| new | 87.5 ±" in text
    assert "(sd 17.7)" in text
    assert "sd: over seeds" in text


def test_runs_with_different_figures_are_not_pooled():
    other, items = run_of(2)
    with pytest.raises(EvaluationError, match="do not hold the same figures"):
        pool_seeds({"1": run_of(1), "2": (Results(other.systems, other.results[1:]), items)})


def test_stored_runs_are_pooled_by_their_seeds(tmp_path):
    for seed in (1, 2):
        results, items = run_of(seed, drift=seed)
        write_results(tmp_path / str(seed) / "results.json", results)
        write_items(tmp_path / str(seed) / "evaluation" / "items.jsonl", items)
    runs = [tmp_path / "1", tmp_path / "2"]
    regenerate_tables(runs, out=tmp_path / "both")
    assert read_results(tmp_path / "both" / "results.json").find("new", WUGGY).seeds == {
        "1": 1.0, "2": 1.0,
    }  # fmt: skip
    with pytest.raises(EvaluationError, match="folder of their own"):
        regenerate_tables(runs)
    with pytest.raises(EvaluationError, match="have seed 1"):
        regenerate_tables([runs[0], runs[0]], out=tmp_path / "x")

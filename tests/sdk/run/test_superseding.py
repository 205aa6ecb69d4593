from __future__ import annotations

import pytest

from orality import Recipe
from orality.run.superseding import first_changed_round, set_aside


def toy(**changes):
    data = Recipe.load("toy").model_dump()
    for section, values in changes.items():
        data[section] = data[section] | values if isinstance(values, dict) else values
    return Recipe.parse(data)


LOW, HIGH = {"rejected": 2.5, "chosen": 3}, {"rejected": 3, "chosen": 3.4}


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({}, None),
        ({"evaluation": {"prompts": 2}}, None),
        ({"training": {"max_kl": 9.0}}, None),  # it only warns
        ({"selection": {"min_gap": 0.5}}, 1),
        ({"training": {"beta": 0.2}}, 1),
        ({"rounds": ["auto", HIGH]}, 1),
        ({"rounds": [LOW, "auto"]}, 2),
        ({"rounds": [LOW]}, 2),
        ({"rounds": [LOW, HIGH, "auto"]}, None),
    ],
)
def test_the_first_round_that_changes_is_found(changes, first):
    assert first_changed_round(toy(), toy(**changes)) == first


def files(run):
    found = [path for path in run.rglob("*") if path.is_file()]
    return {str(path.relative_to(run)) for path in found}


def a_run(run):
    for name in (
        "recipe.yaml",
        "round-1/continuations/train-00000.parquet",
        "round-1/verdicts/train-00000.parquet",
        "round-1/pairs/train-00000.parquet",
        "round-1/train/result.json",
        "round-2/continuations/train-00000.parquet",
        "baseline-fine-tuned/train/result.json",
        "evaluation/pre-trained/samples/a.parquet",
        "evaluation/aligned round 1/samples/a.parquet",
        "results.json",
    ):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text(name)
    return run


def test_what_follows_from_old_thresholds_moves_and_nothing_is_lost(tmp_path):
    run = a_run(tmp_path / "run")
    before = files(run)
    aside = set_aside(run, toy(), toy(rounds=["auto", HIGH]))
    assert aside == run / "superseded-1"
    assert files(run) - {f"superseded-1/{name}" for name in before} == {
        "recipe.yaml",
        "round-1/continuations/train-00000.parquet",
        "round-1/verdicts/train-00000.parquet",
        "evaluation/pre-trained/samples/a.parquet",
    }
    moved = {name.removeprefix("superseded-1/") for name in files(run) if "superseded" in name}
    assert before - files(run) == moved - {"recipe.yaml"}
    assert Recipe.load(aside / "recipe.yaml") == toy()


def test_a_later_round_leaves_the_earlier_ones_alone(tmp_path):
    run = a_run(tmp_path / "run")
    set_aside(run, toy(), toy(rounds=[LOW, "auto"]))
    kept = files(run)
    assert {"round-1/pairs/train-00000.parquet", "round-1/train/result.json"} <= kept
    assert "evaluation/aligned round 1/samples/a.parquet" in kept
    assert "round-2/continuations/train-00000.parquet" in kept


def test_a_run_without_changes_is_left_as_it_is(tmp_path):
    run = a_run(tmp_path / "run")
    before = files(run)
    assert set_aside(run, toy(), toy()) is None
    assert files(run) == before

"""A run folder that goes on with other settings, and rounds that are kept only if they help."""

from __future__ import annotations

import pytest

import orality
from orality import Recipe, StoreError
from orality.feedback import read_pairs, read_selection
from orality.report import describe_rounds
from orality.run import build_pairs
from orality.store import read_json, read_records


def recipe(**changes):
    data = Recipe.load("toy").model_dump()
    data["corpus"] |= {"max_prompts": 8, "max_dev_prompts": 3}
    data["training"] |= {"epochs": 1.0}
    data["evaluation"] |= {"prompts": 2, "temperatures": []}
    data["baselines"] = {"fine_tuned": False, "perplexity": False}
    data["shard_size"] = 4
    for section, values in changes.items():
        data[section] = data[section] | values if isinstance(values, dict) else values
    return Recipe.parse(data)


AUTO = {"rounds": ["auto"], "selection": {"max_auto_bleu": "auto", "min_gap": "auto"}}


def test_thresholds_are_read_off_the_round_and_stored_with_its_pairs(tmp_path):
    pairs = build_pairs(recipe(**AUTO, seed=3), tmp_path)
    stored = read_selection(pairs)
    assert stored is not None
    assert stored.rule == "auto and auto"
    verdicts = read_records(tmp_path / "round-1" / "verdicts")
    assert sum(stored.scores.values()) == len(verdicts) == 11 * 5
    assert stored.prompts == 11
    assert len({pair.prompt_id for pair in read_pairs(pairs)}) == stored.pairing > 0
    for pair in read_pairs(pairs):
        assert pair.chosen_score - pair.rejected_score >= stored.selection.min_gap > 0
    assert "Proposed (auto): rejected" in describe_rounds(tmp_path)


def test_a_run_goes_on_with_other_thresholds_without_sampling_again(tmp_path):
    build_pairs(recipe(), tmp_path)
    stages = {stage: tmp_path / "round-1" / stage for stage in ("continuations", "verdicts")}
    before = {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for folder in stages.values()
        for path in folder.glob("*.parquet")
    }
    old = read_records(tmp_path / "round-1" / "pairs")
    build_pairs(recipe(**AUTO), tmp_path)
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in before} == before
    assert read_records(tmp_path / "superseded-1" / "round-1" / "pairs") == old
    assert Recipe.load(tmp_path / "recipe.yaml") == recipe(**AUTO)
    with pytest.raises(StoreError, match="another recipe"):
        build_pairs(recipe(seed=9), tmp_path)


def test_systems_are_the_rounds_that_were_kept(tmp_path):
    results = orality.align(
        recipe(curriculum={"adopt": "better", "prompts": "new"}), tmp_path / "run"
    )
    notes = {
        number: read_json(tmp_path / "run" / f"round-{number}" / "adoption.json")
        for number in (1, 2)
    }
    kept = [f"aligned round {number}" for number in notes if notes[number]["adopted"]]
    assert [system["name"] for system in results["systems"]] == ["pre-trained", *kept]
    for note in notes.values():
        assert note["adopted"] == (note["after"] > note["before"])
        assert note["prompts"] == 3
    prompts = [
        {row["prompt_id"] for row in read_records(tmp_path / "run" / f"round-{n}" / "verdicts")}
        for n in notes
    ]
    assert len(prompts[0] & prompts[1]) == 3  # the dev prompts

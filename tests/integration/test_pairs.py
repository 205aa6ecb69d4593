"""Making pairs at length: workers, further judges, other thresholds, time and cost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import orality
from orality import Recipe, RecipeError, StoreError
from orality.report import describe_rounds
from orality.run import build_pairs, reselect_pairs
from orality.run.workers import work_in_processes
from orality.store import read_records


def recipe(**changes):
    data = Recipe.load("toy").model_dump()
    data["corpus"] |= {"max_prompts": 10, "max_dev_prompts": 3}
    data["shard_size"] = 4
    data["evaluation"] |= {"prompts": 2}
    data["further_judges"] = {"second": {"name": "toy"}}
    for section, values in changes.items():
        data[section] = data[section] | values if isinstance(values, dict) else values
    return Recipe.parse(data)


def stored(run: Path) -> dict[str, bytes]:
    """Every file of a run but those that tell of time."""
    told = {"manifest.json", "metrics.jsonl", "events.jsonl", ".lock"}
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in run.rglob("*")
        if path.is_file() and path.name not in told and "tracking" not in path.parts
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("pairs") / "run"
    build_pairs(recipe(), out)
    return out


def test_two_workers_leave_the_same_bytes_as_one(run, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    build_pairs(recipe(), tmp_path / "run", workers=work_in_processes(2))
    assert stored(tmp_path / "run") == stored(run)
    manifests = [json.loads((out / "manifest.json").read_text()) for out in (run, tmp_path / "run")]
    assert manifests[0]["weights"] == manifests[1]["weights"]


def test_every_shard_leaves_a_line_with_its_time(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    made = {(row["stage"], *row["shards"]) for row in rows}
    assert ("prompts", "train-00000") in made
    for stage in ("continuations", "speech", "transcripts", "verdicts", "verdicts-second"):
        assert sum(row["rows"] for row in rows if row["stage"] == stage) == 13 * 5
        assert (stage, "train-00002") in made
    assert all(row["seconds"] > 0 for row in rows)
    assert "| round-1 | verdicts-second | 65 |" in describe_rounds(run)


def test_a_failure_in_a_worker_ends_the_run_with_its_message(tmp_path):
    broken = recipe(slm={"name": "toy", "seed": -(2**70)})
    with pytest.raises(orality.OralityError, match="worker [01]: "):
        build_pairs(broken, tmp_path / "run", workers=work_in_processes(2))
    assert read_records(tmp_path / "run" / "prompts")


def test_other_thresholds_select_from_what_is_judged(run):
    before = stored(run)
    folder = reselect_pairs(recipe(), run, rejected=2, chosen=4)
    assert folder == run / "round-1" / "pairs-2-4-0.5"
    pairs = read_records(folder)
    verdicts = {row["id"]: row["score"] for row in read_records(run / "round-1" / "verdicts")}
    assert pairs
    for pair in pairs:
        assert pair["chosen_score"] == verdicts[pair["chosen_id"]] >= 4
        assert pair["rejected_score"] == verdicts[pair["rejected_id"]] <= 2
    after = stored(run)
    assert {name: after[name] for name in before} == before
    assert (run / "round-1" / "pairs") != folder


def test_the_same_thresholds_select_the_same_pairs(run):
    folder = reselect_pairs(recipe(), run)
    assert read_records(folder) == read_records(run / "round-1" / "pairs")


def test_a_further_judge_or_perplexity_may_decide(run):
    second = reselect_pairs(recipe(), run, judge="second")
    assert read_records(second) == read_records(run / "round-1" / "pairs")
    by_perplexity = reselect_pairs(recipe(), run, by="perplexity")
    assert by_perplexity.name == "pairs-2.5-3-0.5-perplexity"
    with pytest.raises(RecipeError, match="no further judge 'third'; it has second"):
        reselect_pairs(recipe(), run, judge="third")


def test_a_recipe_may_name_the_judge_that_decides(run):
    chosen = recipe(selection={"max_auto_bleu": 0.5, "judge": "second"})
    assert reselect_pairs(chosen, run).name == "pairs-2.5-3-0.5-verdicts-second"
    with pytest.raises(orality.CompatibilityError, match=r"selection\.judge: .* 'third'"):
        recipe(selection={"judge": "third"}).check()


def test_pairs_of_another_recipe_are_not_selected(run, tmp_path):
    with pytest.raises(StoreError, match="it differs in seed, sampling"):
        reselect_pairs(recipe(seed=7, sampling={"temperature": 0.7}), run)
    with pytest.raises(RecipeError, match=r"must be above the one for rejected \(4\)"):
        reselect_pairs(recipe(), run, rejected=4)
    with pytest.raises(RecipeError, match="2 rounds, got round 3"):
        reselect_pairs(recipe(), run, round=3)
    with pytest.raises(RecipeError, match="there is no recipe file"):
        reselect_pairs(recipe(), tmp_path / "nowhere")


def test_how_judges_agree_is_told(run):
    assert "Further judge second: Spearman 1.00 with the first, n = 65" in describe_rounds(run)

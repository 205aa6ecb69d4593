"""The whole loop on toy components: seconds, no weights, every seam."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import soundfile

import orality
from orality import Recipe, RecipeError, StoreError
from orality.feedback import read_pairs
from orality.report import describe_rounds
from orality.run import build_pairs
from orality.store import read_records


def small(**changes):
    data = Recipe.load("toy").model_dump()
    data["corpus"] |= {"max_prompts": 6, "max_dev_prompts": 3}
    data["training"] |= {"epochs": 1.0}
    data["evaluation"] |= {"prompts": 2, "temperatures": []}
    data["baselines"] = {"fine_tuned": False, "perplexity": False}
    for section, values in changes.items():
        data[section] = data[section] | values if isinstance(values, dict) else values
    return Recipe.parse(data)


def ids(run):
    """Every id of every stage of a run."""
    return {
        str(folder.relative_to(run)): [row["id"] for row in read_records(folder)]
        for folder in sorted({path.parent for path in run.rglob("shard-*.parquet")})
    }


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "toy"
    results = orality.align(small(), out)
    return out, results


def test_a_run_leaves_everything_behind(finished_run):
    out, results = finished_run
    for name in (
        "recipe.yaml",
        "manifest.json",
        "results.json",
        "table.md",
        "report.html",
        "adapter/adapter_model.safetensors",
        "round-2/train/adapter/adapter_config.json",
        "round-1/train/metrics.jsonl",
    ):
        assert (out / name).exists(), name
    assert json.loads((out / "results.json").read_text()) == results
    assert [system["name"] for system in results["systems"]] == [
        "pre-trained",
        "aligned round 1",
        "aligned round 2",
    ]


def test_the_manifest_tells_of_every_component_what_it_was_built_from(finished_run):
    out, _ = finished_run
    weights = json.loads((out / "manifest.json").read_text())["weights"]
    assert weights == {kind: [] for kind in ("tokenizer", "slm", "vocoder", "transcriber", "judge")}


def test_every_record_has_an_id_and_its_audio_exists(finished_run):
    out, _ = finished_run
    for stage in ("continuations", "speech", "transcripts", "verdicts"):
        records = read_records(out / "round-1" / stage)
        assert len(records) == (6 + 3) * 5
        assert len({record["id"] for record in records}) == len(records)
    for record in read_records(out / "round-1" / "speech"):
        assert soundfile.info(out / record["audio"]).samplerate == 16_000


def test_pairs_keep_the_thresholds_and_carry_their_reference(finished_run):
    out, _ = finished_run
    for number, (rejected, chosen) in enumerate([(2.5, 3), (3, 3.4)], start=1):
        pairs = read_records(out / f"round-{number}" / "pairs")
        assert pairs
        for pair in pairs:
            assert pair["chosen_score"] >= chosen
            assert pair["rejected_score"] <= rejected
            assert pair["reference_chosen"] < 0
        assert len({pair["reference"] for pair in pairs}) == 1


def test_rounds_sample_from_different_policies(finished_run):
    out, _ = finished_run
    first, second = (
        read_records(out / f"round-{number}" / "pairs")[0]["reference"] for number in (1, 2)
    )
    assert first != second


def test_running_again_does_nothing_twice(finished_run):
    out, results = finished_run
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}
    assert orality.align(small(), out) == results
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")} == before


def test_another_recipe_in_the_same_folder_is_refused(finished_run):
    out, _ = finished_run
    with pytest.raises(StoreError, match="another recipe"):
        orality.align(small(seed=99), out)


def test_no_key_reaches_the_run(tmp_path, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "canary-4711")
    orality.build_pairs(small(), tmp_path / "run")
    for path in (tmp_path / "run").rglob("*"):
        if path.is_file():
            assert b"canary-4711" not in path.read_bytes()


def test_the_parts_work_alone(tmp_path):
    pairs = orality.build_pairs(small(), tmp_path / "pairs")
    adapter = orality.train(small(), pairs, tmp_path / "trained")
    assert (adapter / "adapter_model.safetensors").exists()
    results = orality.evaluate(small(), tmp_path / "pairs")
    assert [system["name"] for system in results["systems"]] == ["pre-trained"]


def test_baselines_are_further_systems(tmp_path):
    recipe = small(baselines={"fine_tuned": True, "perplexity": True})
    results = orality.align(recipe, tmp_path / "run")
    assert [system["name"] for system in results["systems"]] == [
        "pre-trained",
        "fine-tuned",
        "perplexity feedback",
        "aligned round 1",
        "aligned round 2",
    ]


def test_broken_recordings_are_named_counted_and_skipped(tmp_path, caplog):
    from orality.testing.tones import write_toy_corpus

    corpus = tmp_path / "corpus"
    corpus.mkdir()
    write_toy_corpus(corpus, utterances=12)
    (corpus / "toy-000.ogg").write_bytes(b"")
    (corpus / "toy-005.ogg").write_bytes((corpus / "toy-006.ogg").read_bytes()[:100])
    run = tmp_path / "run"
    recipe = small(corpus={"path": str(corpus), "max_prompts": None})
    orality.build_pairs(recipe, run)
    skipped = {row["id"] for row in read_records(run / "prompts") if row["skipped"]}
    assert skipped == {"toy-000", "toy-005"}
    assert "toy-000.ogg cannot be read as audio" in caplog.text
    assert "2 of" in caplog.text


def test_thresholds_that_leave_no_pairs_end_in_one_clear_message(tmp_path):
    recipe = small(
        rounds=[{"rejected": 1, "chosen": 5}],
        sampling={"samples_per_prompt": 2, "max_seconds": 3},
    )
    with pytest.raises(orality.OralityError, match="pairs"):
        orality.align(recipe, tmp_path / "run")


def test_a_later_round_without_pairs_ends_the_curriculum_and_keeps_the_rest(tmp_path, caplog):
    rounds = [{"rejected": 2.5, "chosen": 3}, {"rejected": 1, "chosen": 5}]
    results = orality.align(small(rounds=rounds, sampling={"max_seconds": 3}), tmp_path / "run")
    assert [system["name"] for system in results["systems"]] == ["pre-trained", "aligned round 1"]
    assert "the curriculum ends with round 1" in caplog.text


def test_a_missing_component_ends_in_one_clear_message(tmp_path):
    with pytest.raises(orality.PluginError, match="no judge is called 'oracle'"):
        orality.align(small(judge={"name": "oracle"}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_wrong_component_option_is_named(tmp_path):
    with pytest.raises(RecipeError, match=r"judge\.tone"):
        orality.align(small(judge={"name": "toy", "tone": "warm"}), tmp_path / "run")


def test_killing_a_run_anywhere_changes_nothing(finished_run, tmp_path):
    expected, results = finished_run
    recipe, out = tmp_path / "recipe.yaml", tmp_path / "run"
    recipe.write_text(small().dump())
    command = [sys.executable, "-m", "orality.cli", "align", str(recipe), "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    draw = random.Random(0)
    for _ in range(4):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not (out / "manifest.json").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(draw.uniform(0.0, 4.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert ids(out) == ids(expected)
    assert json.loads((out / "results.json").read_text())["results"] == results["results"]


def test_a_run_can_be_inspected_while_it_is_under_way(tmp_path):
    folder = tmp_path / "run"
    build_pairs(small(), folder)
    told = describe_rounds(folder)
    assert told.startswith("## Round 1\n")
    assert "Round 2" not in told
    made = len({pair.prompt_id for pair in read_pairs(folder / "round-1" / "pairs")})
    [used] = [line for line in told.splitlines() if "this round's" in line]
    assert f"| {made} |" in used  # what the thresholds yielded
    assert "Best:" in told
    with pytest.raises(StoreError, match="no run folder"):
        describe_rounds(tmp_path)

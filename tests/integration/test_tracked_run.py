"""A whole run that is followed and shared, with keys in the environment that go nowhere."""

from __future__ import annotations

import json
import logging

import pytest

import orality
from orality import Recipe
from orality.feedback import read_pairs
from orality.tracking import read_steps

CANARY = "sk-canary-5d2c1b8e90f74a63"
KEYS = ("ANTHROPIC_API_KEY", "HF_TOKEN", "WANDB_API_KEY", "MLFLOW_TRACKING_TOKEN")


class Board:
    """Remembers everything, by part."""

    def __init__(self):
        self.parts, self.part = {}, None

    def start(self, name, config, *, first):
        self.part = self.parts.setdefault(name, {"config": config, "steps": {}})

    def log(self, metrics, step):
        assert step not in self.part["steps"]
        self.part["steps"][step] = dict(metrics)

    def finish(self, status):
        self.part["status"] = status


class Broken(Board):
    def log(self, metrics, step):
        raise ConnectionError(f"refused {CANARY}")


def small():
    data = Recipe.load("toy").model_dump()
    data["corpus"] |= {"max_prompts": 6, "max_dev_prompts": 3}
    data["training"] |= {"epochs": 2.0}
    data["evaluation"] |= {"prompts": 2}
    data["baselines"] = {"fine_tuned": False, "perplexity": False}
    return Recipe.parse(data)


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """The run's folder, a board, and all that was logged."""
    folder, board, lines = tmp_path_factory.mktemp("followed"), Board(), []
    listening = logging.Handler()
    listening.emit = lambda record: lines.append(record.getMessage())
    root = logging.getLogger()
    with pytest.MonkeyPatch.context() as patch:
        for name in KEYS:
            patch.setenv(name, CANARY)
        level = root.level
        root.addHandler(listening)
        root.setLevel(logging.DEBUG)
        try:
            orality.align(small(), folder / "run", trackers={"board": board, "broken": Broken()})
            orality.push(folder / "run", folder / "shared")
        finally:
            root.removeHandler(listening)
            root.setLevel(level)
    return folder, board, "\n".join(lines)


def test_every_part_of_a_run_is_followed(followed):
    folder, board, _ = followed
    assert list(board.parts) == ["round-1", "round-2", "evaluation"]
    assert {part["status"] for part in board.parts.values()} == {"finished"}
    for name in ("round-1", "round-2"):
        steps = board.parts[name]["steps"]
        pairs = read_pairs(folder / "run" / name / "pairs", "train")
        assert steps[0]["yield/pairs_train"] == len(pairs)
        assert steps[0]["yield/continuations"] == 45
        assert steps[0]["cost/verdicts/seconds"] >= 0
        assert sorted(steps) == list(range(max(steps) + 1))
        assert "train/loss" in steps[1]
        kept = read_steps(folder / "run" / "tracking" / f"{name}.jsonl")
        assert {row["step"]: row.get("train/loss") for row in kept} == {
            step: metrics.get("train/loss") for step, metrics in steps.items()
        }
    results = json.loads((folder / "run" / "results.json").read_text())
    values = {(row["system"], row["metric"]): row["value"] for row in results["results"]}
    evaluation = board.parts["evaluation"]["steps"]
    for step, system in enumerate(["pre-trained", "aligned round 1", "aligned round 2"]):
        value = values[system, "auto-bleu/align-slm/toy"]
        assert evaluation[step]["aligned/auto-bleu/align-slm/toy"] == value


def test_what_is_told_of_a_run_is_its_recipe(followed):
    _, board, _ = followed
    config = board.parts["round-1"]["config"]
    assert config["recipe"]["name"] == "toy"
    assert "tracking" not in config["recipe"]
    assert config["components"]["judge"]["distribution"]
    assert config["training"]["method"] == "dpo"


def test_a_broken_tracker_was_named_once_without_the_key_it_showed(followed):
    _, _, log = followed
    assert log.count("broken does not track any more") == 1
    assert "refused ***" in log


def test_no_key_is_in_the_run_what_is_shared_or_the_log(followed):
    folder, board, log = followed
    for path in folder.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path
    assert CANARY not in log
    assert CANARY not in repr(board.parts)
    assert (folder / "shared" / "adapter_config.json").is_file()


def test_going_on_with_a_finished_run_adds_no_training(followed):
    folder, _, _ = followed
    board = Board()
    orality.align(small(), folder / "run", trackers={"other": board})
    assert list(board.parts) == ["evaluation"]

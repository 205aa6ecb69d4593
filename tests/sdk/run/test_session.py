from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from orality import JudgeRequest, PreferencePair, Recipe, StoreError, Verdict
from orality.checkpoints import note_checkpoint
from orality.progress import silent
from orality.run import build_pairs
from orality.run.components import Components
from orality.run.session import Session
from orality.testing.tones import VowelJudge
from orality.types import Units
from orality.weights import file_sha256


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that the toy judge says it is built from."""
    file = tmp_path / "judge" / "model.safetensors"
    file.parent.mkdir()
    file.write_bytes(b"abc")
    monkeypatch.setattr("orality.testing.tones.VowelJudge", lambda: note_checkpoint(file.parent))
    return file


def build_the_judge(out: Path) -> dict[str, Any]:
    session = Session("toy", out, silent)
    with session.open():
        assert session.components.judges["verdicts"].build()
    return session.run.manifest


def test_the_manifest_names_the_weights_of_what_was_built(weights: Path, tmp_path: Path) -> None:
    manifest = build_the_judge(tmp_path / "run")
    assert manifest["weights"] == {
        "judge": [
            {
                "file": "judge/model.safetensors",
                "bytes": 3,
                "sha256": file_sha256(weights),
                "hashed": "when built",
            }
        ]
    }
    assert build_the_judge(tmp_path / "run") == manifest


def test_a_run_is_not_continued_with_other_weights(weights: Path, tmp_path: Path) -> None:
    manifest = build_the_judge(tmp_path / "run")
    weights.write_bytes(b"abd")
    with pytest.raises(StoreError, match="begun with other weights of the judge"):
        build_the_judge(tmp_path / "run")
    weights.write_bytes(b"abc")
    assert build_the_judge(tmp_path / "run") == manifest


def test_what_is_built_outside_a_run_is_written_nowhere(weights: Path, tmp_path: Path) -> None:
    session = Session("toy", tmp_path / "run", silent)
    assert session.components.judges["verdicts"].build()
    assert not (tmp_path / "run").exists()


def test_a_judge_is_given_as_many_requests_at_a_time_as_it_wants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []

    class Counting(VowelJudge):
        def score(self, requests: Sequence[JudgeRequest]) -> list[Verdict]:
            given.append(len(requests))
            return super().score(requests)

    def wanting(count: int) -> list[int]:
        judge = Components(Recipe.load("toy").resolve()).judges["verdicts"]
        judge = dataclasses.replace(judge, batch=count, build=Counting)
        monkeypatch.setattr(Components, "judges", {"verdicts": judge})
        given.clear()
        data = Recipe.load("toy").model_dump()
        data["corpus"] |= {"max_prompts": 8, "max_dev_prompts": 2}
        build_pairs(Recipe.parse(data | {"shard_size": 4}), tmp_path / str(count))
        return given

    assert wanting(7) == [7, 7, 6, 7, 7, 6, 7, 3]  # four, four and two prompts, five samples each
    assert wanting(40) == [40, 10]  # two shards at a time


@pytest.mark.parametrize(("reference", "named"), [("last", "start"), ("first", "pre-trained")])
def test_a_later_round_is_held_to_the_policy_that_the_recipe_names(
    reference: str, named: str, tmp_path: Path
) -> None:
    from orality.training import policy_fingerprint

    data = Recipe.load("toy").model_dump()
    options = {"reference": reference, "epochs": 1.0, "gap": "margin", "lora_targets": ["fc1"]}
    recipe = Recipe.parse(data | {"training": data["training"] | options})
    session = Session(recipe, tmp_path, silent)
    pairs = [
        PreferencePair(
            str(n), str(n), Units.of([n, 2]), Units.of([3, 4]), Units.of([5, 6]), 4.0, 2.0
        )
        for n in range(4)
    ]
    first = session.train_pairs(pairs, [], tmp_path / "1", [])
    session.train_pairs(pairs, [], tmp_path / "2", [first])
    known = {
        "start": policy_fingerprint(session.policy([first])),
        "pre-trained": policy_fingerprint(session.policy([])),
    }
    stored = json.loads((tmp_path / "2" / "reference.json").read_text())
    assert stored["reference"] == known[named]
    config = json.loads((tmp_path / "2" / "adapter" / "adapter_config.json").read_text())
    assert config["target_modules"] == ["fc1"]

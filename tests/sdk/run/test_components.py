"""Components are built once, and their weights reported."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orality import ComponentConfig, JudgeSpec, Recipe, hookimpl, load
from orality.checkpoints import find_checkpoint
from orality.run.components import Components
from orality.testing import toy
from orality.weights import WeightFile


class WeighedConfig(ComponentConfig):
    checkpoint: str


def build(config: WeighedConfig) -> Any:
    path = find_checkpoint(config.checkpoint, shipped=Path("none"), wants="a folder")
    return SimpleNamespace(read=path)


@hookimpl
def orality_judges() -> Any:
    yield JudgeSpec(
        name="weighed",
        config=WeighedConfig,
        build=build,
        reads=frozenset({"text"}),
        scale=(1.0, 5.0),
    )


@pytest.fixture
def parts(tmp_path: Path) -> tuple[Components, list[tuple[str, Sequence[WeightFile]]]]:
    """A recipe with the toy stack, and a judge of evaluation whose weights are b"abc"."""
    (tmp_path / "model.safetensors").write_bytes(b"abc")
    data = Recipe.load("toy").model_dump()
    data["evaluation"]["judge"] = {"name": "weighed", "checkpoint": str(tmp_path)}
    plugin = SimpleNamespace(orality_judges=orality_judges, __name__="weighed")
    told: list[tuple[str, Sequence[WeightFile]]] = []
    registry = load([toy, plugin], entry_points=())
    return Components(
        Recipe.parse(data).resolve(registry), lambda place, weights: told.append((place, weights))
    ), told


def test_weights_are_told_once_the_component_is_built(parts: Any, tmp_path: Path) -> None:
    components, told = parts
    assert told == []
    judge = components.judge(components.resolved.evaluation_judge)
    assert judge.build().read == tmp_path
    assert judge.build() is judge.build()
    digest = sha256(b"abc").hexdigest()
    wanted = WeightFile(f"{tmp_path.name}/model.safetensors", 3, digest, "when built")
    assert told == [("evaluation.judge", [wanted])]


def test_an_evaluation_s_own_judge_is_built_once_and_told_by_its_place(tmp_path: Path) -> None:
    data = Recipe.load("toy").model_dump()
    data["further_judges"] = {"round": {"name": "toy"}}
    data["evaluation"]["further_judges"] = {"held-out": {"name": "toy"}}
    told: list[str] = []
    components = Components(
        Recipe.parse(data).resolve(load([toy], entry_points=())),
        lambda place, weights: told.append(place),
    )
    parts = components.resolved.parts
    judge = components.judge(parts["evaluation.further_judges.held-out"])
    assert judge.build() is judge.build()
    of_round = components.judges["verdicts-round"]
    assert of_round.build() is components.judge(parts["further_judges.round"]).build()
    assert told == ["evaluation.further_judges.held-out", "further_judges.round"]


def test_a_component_without_weights_is_told_as_such(parts: Any) -> None:
    components, told = parts
    assert components.judges["verdicts"].build() is not None
    assert components.vocoder is not None
    assert told == [("judge", []), ("vocoder", [])]

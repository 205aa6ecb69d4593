"""A component's weights, from its build to whoever asked to be told."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orality import ComponentConfig, JudgeSpec, Recipe, hookimpl, load
from orality.checkpoints import find_checkpoint
from orality.lazy_components import LazyComponents
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
def parts(tmp_path: Path) -> tuple[LazyComponents, list[tuple[str, Sequence[WeightFile]]]]:
    """A recipe with the toy stack, and a judge of evaluation whose weights are b"abc"."""
    (tmp_path / "model.safetensors").write_bytes(b"abc")
    data = Recipe.load("toy").model_dump()
    data["evaluation"]["judge"] = {"name": "weighed", "checkpoint": str(tmp_path)}
    plugin = SimpleNamespace(orality_judges=orality_judges, __name__="weighed")
    told: list[tuple[str, Sequence[WeightFile]]] = []
    registry = load([toy, plugin], entry_points=())
    return LazyComponents(
        Recipe.parse(data), registry, lambda place, weights: told.append((place, weights))
    ), told


def test_weights_are_told_once_the_component_is_built(parts: Any, tmp_path: Path) -> None:
    components, told = parts
    assert told == []
    assert components.evaluation_judge.read == tmp_path
    assert components.evaluation_judge is components.evaluation_judge
    digest = sha256(b"abc").hexdigest()
    wanted = WeightFile(f"{tmp_path.name}/model.safetensors", 3, digest, "when built")
    assert told == [("evaluation.judge", [wanted])]


def test_an_evaluation_s_own_judge_is_built_once_and_told_by_its_place(tmp_path: Path) -> None:
    data = Recipe.load("toy").model_dump()
    data["further_judges"] = {"round": {"name": "toy"}}
    data["evaluation"]["further_judges"] = {"held-out": {"name": "toy"}}
    told: list[str] = []
    components = LazyComponents(
        Recipe.parse(data),
        load([toy], entry_points=()),
        lambda place, weights: told.append(place),
    )
    judge = components.further_judge("held-out")
    assert judge is components.further_judge("held-out")
    assert components.judge_of("verdicts-round") is components.further_judge("round")
    assert told == ["evaluation.further_judges.held-out", "further_judges.round"]


def test_a_component_without_weights_is_told_as_such(parts: Any) -> None:
    components, told = parts
    assert components.judge is not None
    assert components.vocoder is not None
    assert told == [("judge", []), ("vocoder", [])]

"""Orders to cut the toy corpus: work for workers that needs no model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from orality import Recipe
from orality.feedback import Chunk
from orality.run.workers import Job, WorkerSpec


@pytest.fixture
def cutting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., WorkerSpec]:
    """An order to cut prompts in a folder; nothing of it needs torch."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    def order(run: str = "run", **corpus: object) -> WorkerSpec:
        data = Recipe.load("toy").model_dump()
        data["corpus"] |= corpus
        (tmp_path / run).mkdir(exist_ok=True)
        return WorkerSpec(recipe=Recipe.parse(data), folder=str(tmp_path / run))

    return order


@pytest.fixture
def chunks() -> Callable[[Iterable[int]], list[Job]]:
    """Jobs of two recordings each."""

    def jobs(numbers: Iterable[int]) -> list[Job]:
        return [
            Job.cutting(Chunk(f"train-{number:05d}", (2 * number, 2 * number + 1)))
            for number in numbers
        ]

    return jobs

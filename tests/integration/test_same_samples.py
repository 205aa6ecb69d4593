"""A prompt's samples are its own with the shipped language model: in any batch, shard, process."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

import orality
from orality import Recipe, SamplingOptions, Units
from orality.run import build_pairs
from orality.run.workers import ShardsDone, work_in_processes
from orality.store import read_records

SEEDS = range(7)
OPTIONS = SamplingOptions(temperature=0.9, top_p=0.95)


@pytest.fixture(scope="module")
def slm():
    return orality.build("slm", "twist", checkpoint="tiny")


@pytest.fixture(scope="module")
def prompts(slm):
    """Of lengths that differ, without repeats."""
    random = np.random.default_rng(0)
    size = slm.unit_spec.vocab_size
    steps = (random.integers(1, size, 20 + 7 * seed) for seed in SEEDS)
    return [Units(np.cumsum(step) % size) for step in steps]


def drawn(slm, prompts, seeds):
    samples = slm.generate(
        prompts, num_samples=5, max_new_units=40, sampling=OPTIONS, seeds=list(seeds)
    )
    return [[sample.units.ids.tolist() for sample in some] for some in samples]


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_in_any_batch(slm, prompts, size):
    together = drawn(slm, prompts, SEEDS)
    assert len({str(units) for some in together for units in some}) > 4 * len(prompts)
    order = np.random.default_rng(size).permutation(len(prompts)).tolist()
    for start in range(0, len(order), size):
        batch = order[start : start + size]
        found = drawn(slm, [prompts[i] for i in batch], batch)
        assert found == [together[i] for i in batch]


def recipe(shard_size):
    """The shipped tokenizer, language model and vocoder; what follows them is cheap."""
    data = Recipe.load("tiny").model_dump(mode="json")
    data["corpus"] |= {"max_prompts": 4, "max_dev_prompts": 2}
    data["sampling"] |= {"samples_per_prompt": 2, "max_seconds": 1.5}
    data |= {"transcriber": {"name": "toy"}, "judge": {"name": "toy"}, "shard_size": shard_size}
    data["evaluation"]["prompts"] = 0
    return Recipe.parse(data)


def units(run):
    return {row["id"]: row["units"] for row in read_records(run / "round-1" / "continuations")}


def test_in_any_shard_on_two_workers_and_after_a_kill(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    build_pairs(recipe(3), tmp_path / "one")
    expected = units(tmp_path / "one")
    assert len(expected) == 12
    build_pairs(recipe(2), tmp_path / "other shards")
    assert units(tmp_path / "other shards") == expected
    with contextlib.suppress(orality.OralityError):
        build_pairs(recipe(3), tmp_path / "two", workers=killed_in_the_middle)
    assert len(units(tmp_path / "two")) < 12
    build_pairs(recipe(3), tmp_path / "two", workers=work_in_processes(2))
    assert units(tmp_path / "two") == expected
    for folder in ("continuations", "speech", "transcripts", "verdicts", "pairs"):
        ours, theirs = (read_records(tmp_path / run / "round-1" / folder) for run in ("one", "two"))
        assert [without_floats(row) for row in ours] == [without_floats(row) for row in theirs]


def without_floats(row):
    """Threads may round differently."""
    return {name: value for name, value in row.items() if not isinstance(value, float)}


def killed_in_the_middle(order, jobs, tell, should_stop):
    """Two workers of which one is killed when it has sampled."""
    import subprocess

    from orality.run.workers import processes

    found = []

    class Noted(subprocess.Popen):
        def __init__(self, *given, **named):
            super().__init__(*given, **named)
            found.append(self)

    def kill(event):
        tell(event)
        if isinstance(event, ShardsDone) and event.stage == "continuations":
            found[event.worker].kill()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes.subprocess, "Popen", Noted)
        work_in_processes(2)(order, jobs, kill, should_stop)

"""Pairs made by a local Ray cluster; every run of a round starts its actors anew."""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import random
import signal
from pathlib import Path

import pytest

from orality import OralityError, Recipe, StoreError
from orality.run import build_pairs
from orality.run.workers import ShardsDone, work_in_process
from orality.run.workers.ray_cluster import work_on_ray
from orality.store import read_metrics

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: the extra `ray`"
)


def recipe(**changes):
    data = Recipe.load("toy").model_dump()
    data["corpus"] |= {"max_prompts": 10, "max_dev_prompts": 3}
    data |= {"shard_size": 4, "cluster": {"continuations": {"actors": [1, 2], "cpus": 0.5}}}
    data["evaluation"] |= {"prompts": 0}
    return Recipe.parse(data | changes)


def stored(run: Path) -> dict[str, bytes]:
    """Every file of a run but those that tell of time."""
    told = {"manifest.json", "metrics.jsonl", "events.jsonl", ".lock"}
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in run.rglob("*")
        if path.is_file() and path.name not in told and "tracking" not in path.parts
    }


@pytest.fixture(scope="module")
def cluster():
    import ray

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OMP_NUM_THREADS", "1")
        environment.setenv("RAY_worker_niceness", "0")
        environment.setenv("ORALITY_TEST_PROCESS", str(os.getpid()))
        yield work_on_ray("local")
    ray.shutdown()


def first_job_only(order, jobs, tell, should_stop):
    """A process that ends after one group of shards of a round."""
    some = jobs if order.round is None else jobs[:1]
    work_in_process()(order, some, tell, should_stop)


@needs_ray
def test_a_cluster_goes_on_with_what_a_process_began_and_leaves_the_same_bytes(cluster, tmp_path):
    whole, run = tmp_path / "whole", tmp_path / "run"
    build_pairs(recipe(), whole)
    build_pairs(recipe(), run, workers=first_job_only)
    begun = {path: path.stat().st_mtime_ns for path in run.rglob("*.parquet")}
    stages = ("continuations", "speech", "transcripts", "verdicts", "pairs")
    assert 0 < len(list((run / "round-1").rglob("*.parquet"))) == len(stages)
    before = len(list(read_metrics(run)))

    heard = {}
    build_pairs(
        recipe(),
        run,
        workers=cluster,
        progress=lambda stage, done, total, note="": heard.update({stage: (done, total)}),
    )

    assert stored(run) == stored(whole)
    assert {path: path.stat().st_mtime_ns for path in begun} == begun
    assert heard["round-1: verdicts"] == (65, 65)
    told = list(read_metrics(run))[before:]
    assert {(row["stage"], *row["shards"]) for row in told if row["stage"] != "pairs"} == {
        (stage, shard)
        for stage in stages[:-1]
        for shard in ("train-00001", "train-00002", "dev-00000")
    }
    weights = json.loads((run / "manifest.json").read_text())["weights"]
    assert sorted(weights) == ["judge", "slm", "tokenizer", "transcriber", "vocoder"]


@needs_ray
def test_a_cluster_cuts_prompts_and_stops_when_asked_to(cluster, tmp_path):
    told = []

    def interrupted(order, jobs, tell, should_stop):
        def note(event):
            told.append(event)
            tell(event)

        def spoken():
            return any(isinstance(event, ShardsDone) and event.stage == "speech" for event in told)

        cluster(order, jobs, note, spoken)

    with pytest.raises(KeyboardInterrupt):
        build_pairs(recipe(shard_size=1), tmp_path / "run", workers=interrupted)
    assert len([event for event in told if isinstance(event, ShardsDone)]) >= 13 + 2
    assert len(list((tmp_path / "run" / "prompts").glob("*.parquet"))) == 13
    made = {
        stage: {path.stem for path in (tmp_path / "run" / "round-1" / stage).glob("*.parquet")}
        for stage in ("continuations", "speech", "verdicts")
    }
    assert made["continuations"] >= made["speech"] >= made["verdicts"]
    assert made["speech"]
    assert len(made["verdicts"]) < 13
    assert not list((tmp_path / "run").rglob(".*.parquet.*"))  # nothing half-written


@needs_ray
def test_a_failure_on_a_cluster_ends_the_run_with_its_message(cluster, tmp_path):
    import ray

    broken = recipe(slm={"name": "toy", "seed": -(2**70)})

    def elsewhere(order, jobs, tell, should_stop):
        if order.round is None:
            return work_in_process()(order, jobs, tell, should_stop)
        return work_on_ray("auto")(order, jobs, tell, should_stop)

    with pytest.raises(OralityError, match=r"^continuations of \w+-\d+ on .*: .*kept$"):
        build_pairs(broken, tmp_path / "broken", workers=elsewhere)
    assert ray.is_initialized()  # a session that was there is left alone


def actors():
    """Process ids of our cluster's actors that make a stage."""
    ours = f"ORALITY_TEST_PROCESS={os.getpid()}\0".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title, environment = ((folder / name).read_bytes() for name in ("cmdline", "environ"))
        except OSError:  # it has ended, or is not ours
            continue
        if title.startswith(b"ray::MapWorker") and ours in environment:
            yield int(folder.name)


@needs_ray
@pytest.mark.slow
def test_killed_actors_are_replaced_and_leave_the_same_bytes(cluster, tmp_path):
    whole, run, killed = tmp_path / "whole", tmp_path / "run", []

    def kill(stage, done, total, note=""):
        if stage.startswith("round-1") and 0 < done < total and len(killed) < 5:
            process = random.Random(len(killed)).choice([*actors(), 0])
            if process:
                os.kill(process, signal.SIGKILL)
                killed.append(process)

    build_pairs(recipe(shard_size=1), whole)
    build_pairs(recipe(shard_size=1), run, workers=cluster, progress=kill)
    assert len(killed) == 5
    assert stored(run) == stored(whole)


@needs_ray
def test_a_run_folder_that_is_not_shared_is_named(tmp_path):
    from orality.run.workers import WorkerSpec
    from orality.run.workers.ray_actors import Station

    order = WorkerSpec(recipe=recipe(), folder=str(tmp_path / "elsewhere"))
    station = Station(None, order.to_dict(), "prompts", {})
    with pytest.raises(StoreError, match="all machines of a cluster must see it"):
        station._start()


@needs_ray
def test_an_actor_without_a_gpu_sees_none():
    from orality.run.workers.pools import PoolSize
    from orality.run.workers.ray_actors import environment_of

    part = PoolSize(stage="speech", least=1, most=1, cpus=1, gpus=0.5)
    none = PoolSize(stage="speech", least=1, most=1, cpus=1, gpus=0)
    assert environment_of(part, {"HF_HUB_OFFLINE": "1"}) == {"HF_HUB_OFFLINE": "1"}
    assert environment_of(none, {})["CUDA_VISIBLE_DEVICES"] == ""


@needs_ray
def test_shards_that_kill_their_process_again_and_again_end_the_run():
    from orality.run.workers.ray_actors import Overseer

    overseer = Overseer()
    assert [overseer.begin("speech", "train-00000") for _ in range(4)] == [True, True, True, False]
    assert not overseer.begin("speech", "train-00001")  # nothing else is begun then
    (news,) = overseer.news()
    assert news["failed"][0] == "speech of train-00000"
    assert "died 3 times" in news["failed"][2]


@needs_ray
def test_an_address_without_a_cluster_is_named(monkeypatch):
    import ray

    from orality.run.workers import Job, WorkerSpec

    def nobody(**given):
        raise ConnectionError("Could not find any running Ray instance\nmore")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", nobody)
    order = WorkerSpec(recipe=recipe(), folder="run")
    with pytest.raises(OralityError, match=r"no Ray cluster can be used at 'auto' \(Could not"):
        work_on_ray("auto")(order, [Job(("train-00000",))], print, lambda: False)


@needs_ray
def test_a_cluster_that_was_started_for_workers_ends_with_them(monkeypatch):
    import ray

    from orality.run.workers import Job, WorkerSpec, ray_cluster

    done = []
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **given: done.append(given["num_cpus"]))
    monkeypatch.setattr(ray, "shutdown", lambda: done.append("shutdown"))
    monkeypatch.setattr(ray_cluster, "_pools", lambda recipe, stages: stages)
    monkeypatch.setattr(ray_cluster, "_oversee", lambda *given: done.append(given[2]))
    monkeypatch.setattr(ray_cluster.os, "sched_getaffinity", lambda process: {0, 1})

    order = WorkerSpec(recipe=recipe(), folder="run")
    workers = work_on_ray("local")
    workers(order, [], print, lambda: False)
    assert done == []  # nothing to do, nothing to start
    workers(order, [Job(("train-00000",))], print, lambda: False)
    # half a core for continuations, one for each of the other four stages
    assert done == [5, ["prompts"]]
    del workers
    gc.collect()
    assert done[2:] == ["shutdown"]


def test_without_ray_one_message_says_what_to_do(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(OralityError, match=r"pip install 'orality\[ray\]'"):
        work_on_ray("local")

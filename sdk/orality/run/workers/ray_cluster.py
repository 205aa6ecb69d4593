"""Jobs done on a Ray cluster: a pool of actors for each stage, so that each is size_pools apart."""

from __future__ import annotations

import importlib.util
import logging
import math
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from orality.errors import OralityError
from orality.recipe import ROUND_STAGES, Recipe, ResolvedRecipe
from orality.recipe.pair_sections import verdicts_of
from orality.run.components import Components
from orality.run.stages import open_round
from orality.run.workers.decoding import error_from_message, event_from_message
from orality.run.workers.messages import Emit, Job, Workers, WorkerSpec
from orality.run.workers.pools import PoolSize, shortage, size_pools, stages_on_gpu

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_NEWS = 0.2
_LOCAL_MEMORY = 100 * 2**20  # bytes for objects: only names of shards go through Ray
_FORWARDED_ENV = (
    "ORALITY_LOCAL_ONLY", "ORALITY_OFFLINE", "ORALITY_DISABLE_PLUGINS", "ORALITY_STRICT_PLUGINS",
    "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_PROGRESS_BARS",
    "TRANSFORMERS_VERBOSITY",
)  # fmt: skip


def work_on_ray(address: str) -> Workers:
    """Work on the cluster at `address`: `auto`, `HOST:PORT`, `ray://HOST:PORT`.

    `local` starts one on this machine, which ends when what is returned here is no longer in use.
    Where this process has a Ray session already, that one is used and left as it is. All machines
    must see the run folder under the same path, and have orality, the recipe's plugins and the
    judges' keys. OralityError when Ray is not installed or no cluster answers.
    """
    if importlib.util.find_spec("ray") is None:
        raise OralityError("Ray is not installed; get it with `pip install 'orality[ray]'`")

    def work(
        spec: WorkerSpec, jobs: Sequence[Job], emit: Emit, should_stop: Callable[[], bool]
    ) -> None:
        if not jobs:
            return
        _connect(address, spec.recipe, work)
        resolved, stages = spec.recipe.resolve(), ["prompts"]
        if spec.round is not None:
            stages = open_round(Components(resolved), Path(spec.folder), spec.round).stages
        _oversee(spec, jobs, _pools(resolved, stages), emit, should_stop)

    return work


def _connect(address: str, recipe: Recipe, user: Any) -> None:
    """Join the cluster, or start it, unless this process has a session; it ends with `user`."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    if ray.is_initialized():
        return
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        # All pools of a round begin together, if need be on more cores than there are.
        stages = [*ROUND_STAGES, *recipe.cluster, *map(verdicts_of, recipe.further_judges)]
        pools = size_pools(dict.fromkeys(stages), recipe.cluster, on_gpu=(), cpus=math.inf, gpus=0)
        cores = math.ceil(sum(pool.least * pool.cpus for pool in pools))
        options |= {"num_cpus": max(len(os.sched_getaffinity(0)), cores)}
        options |= {"include_dashboard": False, "object_store_memory": _LOCAL_MEMORY}
    try:
        with _same_signals():
            ray.init(address=address, **options)
    except Exception as error:  # Ray raises plain ones too
        raise OralityError(
            f"no Ray cluster can be used at {address!r} ({_first_line(error)}); start one with "
            "`ray start --head`, or give `local`"
        ) from error
    weakref.finalize(user, ray.shutdown)


@contextmanager
def _same_signals() -> Iterator[None]:
    """Keep Ray from answering SIGTERM in our place."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _pools(resolved: ResolvedRecipe, stages: Sequence[str]) -> list[PoolSize]:
    import ray

    found = ray.cluster_resources()
    cpus, gpus = found.get("CPU", 0.0), found.get("GPU", 0.0)
    on_gpu = stages_on_gpu(resolved)
    pools = size_pools(stages, resolved.recipe.cluster, on_gpu=on_gpu, cpus=cpus, gpus=gpus)
    missing = shortage(pools, cpus=cpus, gpus=gpus)
    if missing:
        logger.warning(
            "the pools ask for %s: no work starts until the cluster grows, or `cluster:` in the "
            "recipe asks for less",
            missing,
        )
    return pools


def _oversee(
    spec: WorkerSpec,
    jobs: Sequence[Job],
    pools: Sequence[PoolSize],
    emit: Emit,
    should_stop: Callable[[], bool],
) -> None:
    import ray
    from ray.exceptions import RayError

    from orality.run.workers.ray_actors import Overseer

    environment = {name: os.environ[name] for name in _FORWARDED_ENV if name in os.environ}
    overseer = ray.remote(Overseer).options(num_cpus=0).remote()
    try:
        overseer.start.remote(
            overseer, spec.to_dict(), [asdict(job) for job in jobs], pools, environment
        )
        _listen(overseer, emit, should_stop)
    except RayError as error:
        raise OralityError(
            f"the cluster has lost the run ({_first_line(error)}); finished shards are kept. "
            "Run the same command to resume"
        ) from error
    finally:
        ray.kill(overseer)


def _listen(overseer: Any, emit: Emit, should_stop: Callable[[], bool]) -> None:
    """Pass on the workers' messages until they are done or one has failed."""
    import ray

    failure, stopped, finished = None, False, False
    while not finished:
        if should_stop() and not stopped:
            stopped = True
            overseer.stop.remote()
        for message in ray.get(overseer.news.remote()):
            if "event" in message:
                emit(event_from_message(message["event"], message["fields"]))
            elif "log" in message:
                name, level, text = message["log"]
                logging.getLogger(name).log(level, "%s", text)
            elif "failed" in message:
                failure = failure or message["failed"]
            else:
                finished = True
        time.sleep(0 if finished else _SECONDS_BETWEEN_NEWS)
    if failure is not None:
        raise error_from_message(*failure)
    if stopped:
        raise KeyboardInterrupt


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]

"""Jobs done on a Ray cluster: a pool of actors for each stage, so that each is sized apart."""

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
from typing import Any

import yaml

from orality.errors import OralityError
from orality.factory.orders import Job, Order, Tell, Workers
from orality.factory.pools import Sized, lacking, sized, stages_on_gpu
from orality.factory.telling import event_told, told_error
from orality.factory.worker import Worker
from orality.pair_options import verdicts_of
from orality.recipe import ROUND_STAGES, Recipe

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_NEWS = 0.2
_LOCAL_MEMORY = 100 * 2**20  # bytes for objects: only names of shards go through Ray
_PASSED_ON = (
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
        order: Order, jobs: Sequence[Job], tell: Tell, asked_to_stop: Callable[[], bool]
    ) -> None:
        if not jobs:
            return
        recipe = Recipe.parse(yaml.safe_load(order.recipe))
        _connect(address, recipe, work)
        stages = ["prompts"]
        if order.round is not None:
            stages = Worker(order, tell).round.stages
        _oversee(order, jobs, _pools(recipe, stages), tell, asked_to_stop)

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
        pools = sized(dict.fromkeys(stages), recipe.cluster, on_gpu=(), cpus=math.inf, gpus=0)
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


def _pools(recipe: Recipe, stages: Sequence[str]) -> list[Sized]:
    import ray

    found = ray.cluster_resources()
    cpus, gpus = found.get("CPU", 0.0), found.get("GPU", 0.0)
    on_gpu = stages_on_gpu(recipe)
    pools = sized(stages, recipe.cluster, on_gpu=on_gpu, cpus=cpus, gpus=gpus)
    missing = lacking(pools, cpus=cpus, gpus=gpus)
    if missing:
        logger.warning(
            "the pools ask for %s: nothing is done until the cluster grows; else lower `cluster:` "
            "in the recipe",
            missing,
        )
    return pools


def _oversee(
    order: Order,
    jobs: Sequence[Job],
    pools: Sequence[Sized],
    tell: Tell,
    asked_to_stop: Callable[[], bool],
) -> None:
    import ray
    from ray.exceptions import RayError

    from orality.factory.ray_actors import Overseer

    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    overseer = ray.remote(Overseer).options(num_cpus=0).remote()
    try:
        overseer.start.remote(
            overseer, order.to_dict(), [asdict(job) for job in jobs], pools, environment
        )
        _listen(overseer, tell, asked_to_stop)
    except RayError as error:
        raise OralityError(
            f"the cluster has lost the run ({_first_line(error)}); what was finished is kept: the "
            "same command goes on from there"
        ) from error
    finally:
        ray.kill(overseer)


def _listen(overseer: Any, tell: Tell, asked_to_stop: Callable[[], bool]) -> None:
    """Pass on what the workers tell, until they are done or one has failed."""
    import ray

    failure, stopped, finished = None, False, False
    while not finished:
        if asked_to_stop() and not stopped:
            stopped = True
            overseer.stop.remote()
        for message in ray.get(overseer.news.remote()):
            if "event" in message:
                tell(event_told(message["event"], message["fields"]))
            elif "log" in message:
                name, level, text = message["log"]
                logging.getLogger(name).log(level, "%s", text)
            elif "failed" in message:
                failure = failure or message["failed"]
            else:
                finished = True
        time.sleep(0 if finished else _SECONDS_BETWEEN_NEWS)
    if failure is not None:
        raise told_error(*failure)
    if stopped:
        raise KeyboardInterrupt


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]

"""How the stages of a round share a cluster: actors, cores and GPUs for each of them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from orality.recipe import ResolvedRecipe
from orality.recipe.sections import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSize:
    """The pool of one stage: between `least` and `most` actors, each with `cpus` and `gpus`."""

    stage: str
    least: int
    most: int
    cpus: float
    gpus: float


def size_pools(
    stages: Iterable[str],
    cluster: Mapping[str, Pool],
    *,
    on_gpu: Collection[str],
    cpus: float,
    gpus: float,
) -> list[PoolSize]:
    """The pools of stages on a cluster with so many cores and GPUs.

    What `cluster` leaves open is one core for each actor, and one GPU for those of the stages
    `on_gpu`; where there are fewer than that, actors get equal parts of what the others leave.
    """
    pools = {stage: cluster.get(stage, Pool()) for stage in stages}
    open_cpus = [pool.least for pool in pools.values() if pool.cpus is None]
    taken = sum(pool.least * pool.cpus for pool in pools.values() if pool.cpus is not None)
    core = _part(cpus - taken, sum(open_cpus)) or 0.01
    open_gpus = [pools[stage].least for stage in pools if _wants(pools, stage, on_gpu)]
    taken = sum(pool.least * pool.gpus for pool in pools.values() if pool.gpus is not None)
    gpu = _part(gpus - taken, sum(open_gpus))
    return [
        PoolSize(
            stage=stage,
            least=pool.least,
            most=pool.most,
            cpus=core if pool.cpus is None else pool.cpus,
            gpus=(gpu if stage in on_gpu else 0.0) if pool.gpus is None else pool.gpus,
        )
        for stage, pool in pools.items()
    ]


def shortage(pools: Sequence[PoolSize], *, cpus: float, gpus: float) -> str:
    """What the cluster lacks before all pools can begin; empty when it has enough."""
    asked = {
        "cores": (sum(pool.least * pool.cpus for pool in pools), cpus),
        "GPUs": (sum(pool.least * pool.gpus for pool in pools), gpus),
    }
    return " and ".join(
        f"{wanted:g} {what} where there are {there:g}"
        for what, (wanted, there) in asked.items()
        if wanted > there + 1e-6
    )


def stages_on_gpu(resolved: ResolvedRecipe) -> set[str]:
    """The stages whose components compute here: all but `pairs` and judges behind a server."""
    here = {folder for folder, judge in resolved.judges.items() if judge.is_local}
    return {"prompts", "continuations", "speech", "transcripts"} | here


def _wants(pools: Mapping[str, Pool], stage: str, on_gpu: Collection[str]) -> bool:
    return stage in on_gpu and pools[stage].gpus is None


def _part(left: float, actors: int) -> float:
    """An equal part of what is left: a whole one at most, rounded down to hundredths."""
    if left <= 0 or not actors:
        return 0.0
    return math.floor(min(1.0, left / actors) * 100 + 1e-9) / 100

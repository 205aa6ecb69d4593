"""From what stages take for one prompt to hours, device hours, disk and dollars for all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orality.planning.rates import Rates, StageRate


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePlan:
    """One stage over all prompts, on one device; None: unknown."""

    stage: str
    hours: float | None
    spread: float | None
    start_hours: float
    bytes: float
    dollars: float | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePlan:
    """One round, and all rounds, with so many devices.

    `hours`: when every device does all stages, `spread` half its 95 % interval; `pools`: devices
    for each stage when it has its own, and `pool_hours` then; None: there are fewer than stages.
    """

    devices: int
    hours: float
    spread: float | None
    device_hours: float
    all_rounds_hours: float
    pools: Mapping[str, int] | None
    pool_hours: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a corpus of `prompts` takes. `unknown`: stages whose time is in no sum."""

    prompts: int
    samples: int
    rounds: int
    device: str
    stages: tuple[StagePlan, ...]
    devices: tuple[DevicePlan, ...]
    hours: float
    spread: float | None
    bytes: float
    all_rounds_bytes: float
    dollars: float | None
    all_rounds_dollars: float | None
    unknown: tuple[str, ...]
    assumptions: tuple[str, ...]


def plan(
    rates: Rates, *, prompts: int, samples: int, devices: Sequence[int], rounds: int = 1
) -> Plan:
    """Carry rates over to a corpus; what is measured with other `samples` grows in proportion.

    Prompts are cut once, everything else is done again in every round. The error of a sum is the
    sum of the errors: no smaller, whatever the stages' errors have to do with each other.
    """
    stages = tuple(_stage(rate, prompts, samples / rates.samples) for rate in rates.stages)
    bytes_, dollars = sum(item.bytes for item in stages), _sum(item.dollars for item in stages)
    cut = [item for item in stages if item.stage == "prompts"]
    hours = sum(item.hours or 0.0 for item in stages) + sum(item.start_hours for item in stages)
    return Plan(
        prompts=prompts,
        samples=samples,
        rounds=rounds,
        device=rates.device,
        stages=stages,
        devices=tuple(_devices(rates, stages, count, rounds) for count in devices),
        hours=hours,
        spread=_sum(item.spread for item in stages if item.hours is not None),
        bytes=bytes_,
        all_rounds_bytes=rounds * bytes_ - (rounds - 1) * sum(item.bytes for item in cut),
        dollars=dollars,
        all_rounds_dollars=None if dollars is None else rounds * dollars,
        unknown=tuple(item.stage for item in stages if item.hours is None),
        assumptions=rates.assumptions,
    )


def shares(work: Mapping[str, float], devices: int) -> dict[str, int] | None:
    """How many devices each stage gets, so that the slowest of them is as fast as can be.

    Every stage gets one; each further one goes to the stage that takes longest. None: there are
    fewer devices than stages.
    """
    if devices < len(work) or not work:
        return None
    found = dict.fromkeys(work, 1)
    for _ in range(devices - len(work)):
        slowest = max(found, key=lambda stage: work[stage] / found[stage])
        found[slowest] += 1
    return found


def _stage(rate: StageRate, prompts: int, factor: float) -> StagePlan:
    factor = prompts * (1.0 if rate.stage == "prompts" else factor)
    return StagePlan(
        stage=rate.stage,
        hours=None if rate.seconds is None else factor * rate.seconds / 3600,
        spread=None if rate.spread is None else factor * rate.spread / 3600,
        start_hours=rate.start / 3600,
        bytes=factor * rate.bytes,
        dollars=None if rate.dollars is None else factor * rate.dollars,
        source=rate.source,
    )


def _devices(rates: Rates, stages: Sequence[StagePlan], devices: int, rounds: int) -> DevicePlan:
    on_device = {rate.stage for rate in rates.stages if rate.on_device}
    known = [item for item in stages if item.hours is not None]
    work = {item.stage: item.hours or 0.0 for item in known}
    start = sum(item.start_hours for item in known)
    first = {item.stage: item.start_hours for item in known}.get("prompts", 0.0)
    cut = work.pop("prompts", 0.0)
    hours = (cut + sum(work.values())) / devices + start
    spread = _sum(item.spread for item in known)
    pools = shares({stage: amount for stage, amount in work.items() if stage in on_device}, devices)
    return DevicePlan(
        devices=devices,
        hours=hours,
        spread=None if spread is None else spread / devices,
        device_hours=devices * hours,
        all_rounds_hours=hours + (rounds - 1) * (sum(work.values()) / devices + start - first),
        pools=pools,
        pool_hours=None if pools is None else cut / devices + start + _slowest(work, pools),
    )


def _slowest(work: Mapping[str, float], pools: Mapping[str, int]) -> float:
    return max(work[stage] / count for stage, count in pools.items())


def _sum(amounts: Iterable[float | None]) -> float | None:
    known = list(amounts)
    return None if None in known else sum(amount or 0.0 for amount in known)

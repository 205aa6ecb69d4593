"""Rates of a run that is there: from its `metrics.jsonl`, and the sizes of its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orality.errors import StoreError
from orality.feedback import Prompts
from orality.planning.prices import dollars_per_request
from orality.planning.rates import Rates, StageRate, rate_of
from orality.recipe import Recipe, ResolvedRecipe
from orality.run.workers.pools import stages_on_gpu
from orality.store import read_metrics, shard_paths

_SAID = (
    "every device is as fast as the one measured, and the corpus is like what was measured",
    "intervals are 95 %, from how much shards differ; those of sums add up the stages'",
)


@dataclass(frozen=True, slots=True)
class Shards:
    """A worker has made shards with so many prompts of one stage."""

    stage: str
    worker: int
    prompts: float
    seconds: float
    dollars: float


def rates_of_run(
    run: Path,
    *,
    device: str,
    built: Mapping[str, float] | None = None,
    unmade: Sequence[str] = (),
    assumptions: Sequence[str] = (),
) -> Rates:
    """What each stage of a run took. `built`: seconds until a stage's components were there.

    The first shards of every worker are kept apart: what they took longer than others is the
    stage's start. `unmade`: stages of which nothing is known. StoreError when there are no metrics.
    """
    resolved = Recipe.load(run / "recipe.yaml").resolve()
    samples = resolved.recipe.sampling.samples_per_prompt
    on_gpu = stages_on_gpu(resolved)
    told = told_shards(run, samples)
    if not told:
        raise StoreError(
            f"{run} has no metrics to plan from; make some of its pairs with `orality pairs`, or "
            "let `orality plan` measure without --from"
        )
    sizes = bytes_per_prompt(run)
    stages = []
    for stage in [*dict.fromkeys(item.stage for item in told), *unmade]:
        some = [item for item in told if item.stage == stage]
        seconds, spread, start = (None, None, 0.0) if stage in unmade else steady(some)
        dollars, how = _dollars(resolved, run, stage, some)
        stages.append(
            StageRate(
                stage=stage,
                seconds=seconds,
                spread=spread,
                start=start + (built or {}).get(stage, 0.0),
                bytes=sizes.get(stage, 0.0),
                dollars=dollars,
                on_device=stage in on_gpu,
                source=("not made" if stage in unmade else "measured") + how,
            )
        )
    return Rates(
        device=device, samples=samples, stages=tuple(stages), assumptions=(*_SAID, *assumptions)
    )


def told_shards(run: Path, samples: int) -> list[Shards]:
    """The lines of a run's metrics, all rounds together, by how many prompts they are about."""
    counts = Prompts.of(run / "prompts").counts
    found = []
    for row in read_metrics(run):
        stage, rows = str(row["stage"]), float(row.get("rows") or 0)
        prompts = float(sum(counts.get(shard, 0) for shard in row.get("shards", ())))
        if stage not in {"prompts", "pairs"}:
            prompts = rows / samples  # those made now; others of these shards may have been there
        figures = (float(row.get("seconds") or 0), float(row.get("dollars") or 0))
        if rows and prompts:
            found.append(Shards(stage, int(row.get("worker") or 0), prompts, *figures))
    return found


def steady(shards: Sequence[Shards]) -> tuple[float, float | None, float]:
    """Seconds per prompt, half their interval, and what a worker's first shards took longer."""
    first: dict[int, Shards] = {}
    for item in shards:
        first.setdefault(item.worker, item)
    later = [item for item in shards if first[item.worker] is not item]
    counted = later or shards
    rate, spread = rate_of([i.seconds for i in counted], [i.prompts for i in counted])
    extra = [max(0.0, item.seconds - rate * item.prompts) for item in first.values()]
    return rate, spread, sum(extra) / len(extra) if later else 0.0


def bytes_per_prompt(run: Path) -> dict[str, float]:
    """Disk that each stage takes for a prompt; recordings count to the stage that makes them."""
    counts = Prompts.of(run / "prompts").counts
    taken: dict[str, float] = {}
    prompts: dict[str, int] = {}
    for folder in [run / "prompts", *sorted(run.glob("round-*/*"))]:
        for path in shard_paths(folder):
            audio = folder.parent / "audio" / path.stem
            audio = {"speech": audio, "prompts": folder / "audio" / path.stem}.get(
                folder.name, run / "nothing"
            )
            files = [path, *(audio.iterdir() if audio.is_dir() else [])]
            taken[folder.name] = taken.get(folder.name, 0) + sum(f.stat().st_size for f in files)
            prompts[folder.name] = prompts.get(folder.name, 0) + counts.get(path.stem, 0)
    return {stage: taken[stage] / prompts[stage] for stage in taken if prompts[stage]}


def _dollars(
    resolved: ResolvedRecipe, run: Path, stage: str, shards: Sequence[Shards]
) -> tuple[float | None, str]:
    judge = resolved.judges.get(stage)
    spent = sum(item.dollars for item in shards)
    if spent:
        return spent / sum(item.prompts for item in shards), ""
    if judge is None or judge.is_local:
        return 0.0, ""
    dollars, how = dollars_per_request(judge.spec, judge.config, run, stage)
    each = resolved.recipe.sampling.samples_per_prompt
    return None if dollars is None else dollars * each, f"; dollars: {how}"

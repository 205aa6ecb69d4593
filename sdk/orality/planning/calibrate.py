"""A short measured run of all stages on this machine, in a folder that is thrown away."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from orality.corpus import corpus_of
from orality.errors import RecipeError
from orality.planning.rates import Rates
from orality.planning.runs import rates_of_run
from orality.progress import Progress, silent
from orality.recipe import Recipe
from orality.run.prompts import ensure_prompts, max_new_units
from orality.run.session import Session
from orality.run.stages import RoundSpec
from orality.run.workers import Ledger, ShardsDone, Worker

_SHARDS = 4  # one to warm up, three to see how much they differ


def calibrate(
    recipe: Recipe, prompts: int = 32, *, paid: bool = False, progress: Progress = silent
) -> Rates:
    """What each stage takes on this machine, from about so many prompts of the recipe's corpus.

    Judges behind a server are asked only if `paid`; without it their time is unknown, and their
    dollars are reckoned from their price. RecipeError for fewer prompts than two for each of the
    four shards.
    """
    if prompts < 2 * _SHARDS:
        raise RecipeError(f"a calibration takes {2 * _SHARDS} prompts at least, got {prompts}")
    there = len(corpus_of(recipe).indices_of("train"))
    prompts = min(prompts, max(1, there))
    size = max(1, prompts // _SHARDS)
    small = _smaller(recipe, prompts, size)
    left_out = [] if paid else _elsewhere(small)
    assumptions = [f"measured on shards of {size} prompts; the recipe's have {recipe.shard_size}"]
    if left_out:
        assumptions.append(
            f"{', '.join(left_out)}: the server was not asked (--paid asks it), its time is unknown"
        )
    with tempfile.TemporaryDirectory(prefix="orality-plan-") as folder:
        run = Path(folder) / "run"
        built = _measure(Session(small, run, progress), left_out)
        return rates_of_run(
            run, device=this_device(), built=built, unmade=left_out, assumptions=assumptions
        )


def _measure(session: Session, left_out: list[str]) -> dict[str, float]:
    """Make prompts and one round of pairs; returns seconds until each stage was ready."""
    parts, built = session.components, dict[str, float]()

    def timed(stage: str, build: Callable[[], object]) -> None:
        started = time.monotonic()
        build()
        built[stage] = time.monotonic() - started

    with session.open():
        timed("prompts", lambda: parts.tokenizer)
        prompts = ensure_prompts(session)
        rule = session.rule(session.recipe.rounds[0])
        spec = RoundSpec(
            name="round-1",
            adapters=(),
            counts=prompts.counts,
            max_new_units=max_new_units(session, prompts),
            selection=rule.fixed,
        )
        ledger = Ledger(session.run.path, "round-1", {}, {}, session.progress)
        worker = Worker(session.worker_spec(spec), lambda event: _note(ledger, event), parts)
        stages = [stage for stage in worker.round.stages if stage not in left_out]
        if rule.options.verdicts in left_out:
            stages = [stage for stage in stages if stage != "pairs"]
        builds: dict[str, Callable[[], object]] = {
            "continuations": lambda: parts.slm,
            "speech": lambda: parts.vocoder,
            "transcripts": lambda: parts.transcriber,
        }
        for stage in stages:
            timed(stage, builds.get(stage, partial(_judge, worker, stage)))
        shards = prompts.shards("train")
        for number, shard in enumerate(shards):
            session.progress("calibration", number, len(shards))
            for stage in stages:
                worker.make(stage, (shard,))
        session.progress("calibration", len(shards), len(shards))
    return built


def this_device() -> str:
    """What a calibration here runs on, in words."""
    import torch

    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    cores = len(os.sched_getaffinity(0))
    return f"this machine without a GPU ({torch.get_num_threads()} threads, {cores} cores)"


def _note(ledger: Ledger, event: Any) -> None:
    if isinstance(event, ShardsDone):
        ledger.add(event)


def _judge(worker: Worker, stage: str) -> object:
    judge = worker.round.judges.get(stage)
    return None if judge is None else judge.build()


def _elsewhere(recipe: Recipe) -> list[str]:
    judges = recipe.resolve().judges
    return [folder for folder, judge in judges.items() if not judge.is_local]


def _smaller(recipe: Recipe, prompts: int, size: int) -> Recipe:
    corpus = recipe.corpus.model_copy(update={"max_prompts": prompts, "max_dev_prompts": 1})
    evaluation = recipe.evaluation.model_copy(update={"prompts": 0})
    return recipe.model_copy(
        update={"corpus": corpus, "evaluation": evaluation, "shard_size": size}
    )

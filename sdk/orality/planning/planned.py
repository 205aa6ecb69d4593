"""A plan for a recipe, from wherever its rates come."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from orality.corpus import corpus_of
from orality.planning.arithmetic import Plan, plan
from orality.planning.calibrate import calibrate
from orality.planning.rates import Rates, read_rates
from orality.planning.runs import rates_of_run
from orality.planning.table import table_of
from orality.progress import Progress, silent
from orality.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan and the rates it was made from."""

    rates: Rates
    plan: Plan

    def table(self) -> str:
        """For people, as Markdown."""
        return table_of(self.plan)

    def json(self) -> str:
        """For machines; `orality plan --rates` takes it as rates."""
        return json.dumps(
            {"plan": asdict(self.plan), "rates": self.rates.model_dump(mode="json")}, indent=2
        )


def plan_recipe(
    recipe: Recipe,
    *,
    prompts: int | None = None,
    samples: int | None = None,
    devices: Sequence[int] = (1, 8, 64),
    calibration: int = 32,
    run: Path | None = None,
    rates: Path | None = None,
    paid: bool = False,
    progress: Progress = silent,
) -> Planned:
    """Plan a recipe's rounds of pairs; `prompts` and `samples` are the recipe's if not given.

    Figures come from a file of `rates`, else from the metrics of a `run`, else from a `calibration`
    with so many prompts; see `calibrate` for `paid`.
    """
    if rates is not None:
        found = read_rates(rates)
    elif run is not None:
        found = rates_of_run(run, device=f"one worker of the run {run.name}")
    else:
        found = calibrate(recipe, calibration, paid=paid, progress=progress)
    planned = plan(
        found,
        prompts=prompts or _prompts(recipe),
        samples=samples or recipe.sampling.samples_per_prompt,
        devices=devices,
        rounds=len(recipe.rounds),
    )
    return Planned(found, planned)


def _prompts(recipe: Recipe) -> int:
    """As many as a run of the recipe would make at most."""
    options = recipe.corpus
    if options.max_prompts is not None and options.max_dev_prompts is not None:
        return options.max_prompts + options.max_dev_prompts
    corpus = corpus_of(recipe)
    limits = {"train": options.max_prompts, "dev": options.max_dev_prompts}
    there = {split: len(corpus.indices_of(split)) for split in limits}
    return sum(
        there[split] if limit is None else min(limit, there[split])
        for split, limit in limits.items()
    )

"""A run that goes on with another selection or training: what depended on the old ones makes room.

What was sampled and judged stays where it is, as long as the policy that was sampled is the same.
Everything that follows from the old settings moves to `superseded-1`, `superseded-2`, ...
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from orality.recipe import Recipe
from orality.store.systems import BASELINES, aligned

logger = logging.getLogger(__name__)


def first_changed_round(before: Recipe, now: Recipe) -> int | None:
    """The first round whose pairs or training differ, from 1; None where none does.

    Rounds that are added at the end change nothing that is there.
    """
    if any(getattr(before, name) != getattr(now, name) for name in ("selection", "curriculum")):
        return 1
    if before.training.model_copy(update={"max_kl": now.training.max_kl}) != now.training:
        return 1
    both = zip(before.rounds, now.rounds, strict=False)
    differing = (number for number, (old, new) in enumerate(both, start=1) if old != new)
    missing = len(now.rounds) + 1 if len(now.rounds) < len(before.rounds) else None
    return next(differing, missing)


def set_aside(run: Path, before: Recipe, now: Recipe) -> Path | None:
    """Move what depends on settings that have changed into a new folder; returns it, if needed."""
    first = first_changed_round(before, now)
    found = [] if first is None else list(_dependent(run, first, now))
    if not found:
        return None
    aside = next(folder for n in count(1) if not (folder := run / f"superseded-{n}").exists())
    for path in found:
        target = aside / path.relative_to(run)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)
    (aside / "recipe.yaml").write_text(before.dump(), encoding="utf-8")
    logger.warning(
        "%s goes on with another selection or training from round %d on: nothing is sampled again "
        "for it, and what followed from the old settings is in %s", run, first, aside.name,
    )  # fmt: skip
    return aside


def _dependent(run: Path, first: int, now: Recipe) -> Iterator[Path]:
    """Existing files and folders that follow from the pairs of round `first`."""
    names = [f"round-{first}/{part}" for part in ("pairs", "train", "adoption", "adoption.json")]
    numbers = sorted(
        int(path.name[6:]) for path in run.glob("round-*") if path.name[6:].isdecimal()
    )
    names += [f"round-{number}" for number in numbers if number > first]
    systems = [aligned(number) for number in numbers if number >= first]
    if first == 1:
        names += BASELINES.values()
        systems += BASELINES
    names += [f"evaluation/{system}" for system in systems]
    names += ["adapter", "results.json", "table.md", "report.html"]
    yield from (run / name for name in names if (run / name).exists())

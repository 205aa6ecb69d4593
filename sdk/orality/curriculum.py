"""The whole of Align-SLM: rounds of feedback and training with rising thresholds, then evaluation.

Every step looks at what the run folder already holds and does the rest, so a killed run continues
where it stopped when the same call is made again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orality.errors import TrainingError
from orality.feedback import read_pairs
from orality.measure import measure_systems
from orality.progress import Progress, silent
from orality.recipe import Recipe
from orality.session import Session
from orality.types import PreferencePair

logger = logging.getLogger(__name__)


def align(
    recipe: Recipe | str | Path, out: str | Path, *, progress: Progress = silent
) -> dict[str, Any]:
    """Run a recipe from corpus to report and return what `results.json` holds.

    Leaves in `out` the adapters, all data, `results.json`, `table.md` and `report.html`.
    """
    session = Session(recipe, out, progress)
    with session.open():
        prompts = session.prompts()
        adapters: list[Path] = []
        for number, thresholds in enumerate(session.recipe.rounds, start=1):
            name = f"round-{number}"
            if session.finished(name) is None:
                pairs = session.make_pairs(prompts, name, thresholds, adapters)
                if adapters and not any(pair["split"] == "train" for pair in pairs):
                    logger.warning(
                        "round %d leaves no pairs to train on (thresholds %g and %g), so the "
                        "curriculum ends with round %d",
                        number,
                        thresholds.rejected,
                        thresholds.chosen,
                        number - 1,
                    )
                    break
            adapters.append(session.train_round(name, adapters))
        session.combine(adapters)
        session.train_baselines(prompts)
        results = measure_systems(session, prompts)
        session.report()
    return results


def build_pairs(
    recipe: Recipe | str | Path, out: str | Path, *, progress: Progress = silent
) -> Path:
    """Make the first round's preference pairs; returns their folder, `out`/round-1/pairs."""
    session = Session(recipe, out, progress)
    with session.open():
        session.make_pairs(session.prompts(), "round-1", session.recipe.rounds[0], [])
    return session.run.stage("round-1", "pairs")


def train(
    recipe: Recipe | str | Path,
    pairs: str | Path | Sequence[PreferencePair],
    out: str | Path,
    *,
    dev_pairs: Sequence[PreferencePair] = (),
    progress: Progress = silent,
) -> Path:
    """Train an adapter on pairs (a folder of shards, or values); returns the adapter's folder.

    `out` becomes the training's own folder: `out`/train and `out`/adapter.
    """
    session = Session(recipe, out, progress)
    given: Sequence[PreferencePair]
    if isinstance(pairs, str | Path):
        folder = Path(pairs)
        given, dev_pairs = read_pairs(folder, "train"), read_pairs(folder, "dev")
        if not given:
            raise TrainingError(f"{folder} holds no pairs; make some with `orality pairs`")
    else:
        given = pairs
    with session.run.lock():
        return session.train_pairs(given, dev_pairs, Path(out), [])


def evaluate(
    recipe: Recipe | str | Path, out: str | Path, *, progress: Progress = silent
) -> dict[str, Any]:
    """Evaluate the pre-trained model and every adapter of a run; returns the results."""
    session = Session(recipe, out, progress)
    with session.open():
        return measure_systems(session, session.prompts())

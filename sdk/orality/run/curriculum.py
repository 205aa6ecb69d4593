"""The whole of Align-SLM: rounds of feedback and training with rising thresholds, then evaluation.

Every step looks at what the run folder already holds and does the rest, so a killed run continues
where it stopped when the same call is made again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orality.errors import RecipeError, TrainingError
from orality.feedback import Prompts, read_pairs
from orality.progress import Progress, silent
from orality.recipe import Recipe
from orality.recipe.pair_sections import Threshold, Thresholds
from orality.run.adoption import adopt_round
from orality.run.baselines import train_baselines
from orality.run.evaluation import measure_systems
from orality.run.pairs import make_round, reselect_round
from orality.run.prompts import ensure_prompts
from orality.run.session import Session
from orality.run.workers import Workers
from orality.tracking import Tracker
from orality.types import PreferencePair
from orality.untrusted.validation import reasons

logger = logging.getLogger(__name__)


def align(
    recipe: Recipe | str | Path,
    out: str | Path,
    *,
    progress: Progress = silent,
    workers: Workers | None = None,
    trackers: Mapping[str, Tracker] | None = None,
) -> dict[str, Any]:
    """Run a recipe from corpus to report and return what `results.json` holds.

    Leaves in `out` the adapters, all data, `results.json`, `table.md` and `report.html`. `workers`:
    what makes the pairs, this process if None; see `orality.run.workers`. `trackers`: by name,
    in addition to the recipe's.
    """
    session = Session(recipe, out, progress, workers, trackers)
    with session.open():
        prompts = ensure_prompts(session)
        adapters: list[Path] = []
        for number, thresholds in enumerate(session.recipe.rounds, start=1):
            name = f"round-{number}"
            if session.finished(name) is None:
                shards = _shards(session, prompts, number)
                pairs = make_round(session, prompts, name, thresholds, adapters, shards)
                if adapters and not read_pairs(pairs, "train"):
                    logger.warning(
                        "round %d leaves no pairs to train on (thresholds %s), so the curriculum "
                        "ends with round %d",
                        number,
                        thresholds,
                        number - 1,
                    )
                    break
            adapters.append(session.train_round(name, adapters))
            if not adopt_round(session, prompts, name, adapters):
                adapters.pop()
        if adapters:
            session.combine(adapters)
        train_baselines(session, prompts)
        results = measure_systems(session, prompts)
        session.report()
    return results


def _shards(session: Session, prompts: Prompts, number: int) -> list[str]:
    """The prompts of one round, from 1, and all that choose its best step."""
    train, dev = prompts.shards("train"), prompts.shards("dev")
    rounds = len(session.recipe.rounds)
    if session.recipe.curriculum.prompts == "new":
        if len(train) < rounds:
            raise RecipeError(
                f"curriculum.prompts is new, but {rounds} rounds cannot share {len(train)} shards "
                "of train prompts; lower shard_size, or raise corpus.max_prompts"
            )
        train = train[number - 1 :: rounds]
    return [*train, *dev]


def build_pairs(
    recipe: Recipe | str | Path,
    out: str | Path,
    *,
    progress: Progress = silent,
    workers: Workers | None = None,
    trackers: Mapping[str, Tracker] | None = None,
) -> Path:
    """Make the first round's preference pairs; returns their folder, `out`/round-1/pairs.

    `workers`: what makes them, this process if None; see `orality.run.workers`. `trackers`: by
    name, in addition to the recipe's.
    """
    session = Session(recipe, out, progress, workers, trackers)
    with session.open():
        thresholds = session.recipe.rounds[0]
        prompts = ensure_prompts(session)
        shards = _shards(session, prompts, 1)
        pairs = make_round(session, prompts, "round-1", thresholds, [], shards)
        with session.tracked("round-1").opened():
            pass  # what the thresholds yield
        return pairs


def reselect_pairs(
    recipe: Recipe | str | Path,
    out: str | Path,
    *,
    round: int = 1,
    rejected: Threshold | None = None,
    chosen: Threshold | None = None,
    max_auto_bleu: float | None = None,
    judge: str | None = None,
    by: str = "score",
) -> Path:
    """Select pairs anew from what the run in `out` has judged; returns the new pairs' folder.

    The recipe may differ from the run's in its rounds, selection, training and evaluation. What is
    not given is the recipe's; `judge`: the label of a further judge whose scores decide; `by`:
    `score` or `perplexity`. Nothing is sampled or judged, and the run's own pairs stay.
    """
    session = Session(recipe, out, silent)
    if not 1 <= round <= len(session.recipe.rounds):
        raise RecipeError(f"the recipe has {len(session.recipe.rounds)} rounds, got round {round}")
    if by not in {"score", "perplexity"}:
        raise RecipeError(f"pairs are selected by score or perplexity, got {by!r}")
    given = {"rejected": rejected, "chosen": chosen}
    thresholds = _thresholds(session.recipe.rounds[round - 1], given)
    rule = session.rule(thresholds, by=by, max_auto_bleu=max_auto_bleu, judge=judge)
    with session.run.lock():
        return reselect_round(session, f"round-{round}", rule)


def _thresholds(recipe: Thresholds, given: Mapping[str, Threshold | None]) -> Thresholds:
    """A recipe's thresholds, with others for some of them; RecipeError when they do not agree."""
    changed = {name: value for name, value in given.items() if value is not None}
    try:
        thresholds = Thresholds.model_validate({**recipe.model_dump(), **changed})
    except ValidationError as error:
        raise RecipeError(
            f"got the thresholds {changed}; wanted a score, a quantile such as 30%, or auto for "
            f"both: {'; '.join(reasons(error))}"
        ) from error
    if thresholds.scores and not thresholds.scores[0] < thresholds.scores[1]:
        raise RecipeError(
            f"the threshold for chosen ({thresholds.scores[1]:g}) must be above the one for "
            f"rejected ({thresholds.scores[0]:g})"
        )
    return thresholds


def train(
    recipe: Recipe | str | Path,
    pairs: str | Path | Sequence[PreferencePair],
    out: str | Path,
    *,
    dev_pairs: Sequence[PreferencePair] = (),
    trackers: Mapping[str, Tracker] | None = None,
    progress: Progress = silent,
) -> Path:
    """Train an adapter on pairs (a folder of shards, or values); returns the adapter's folder.

    `out` becomes the training's own folder: `out`/train and `out`/adapter. `trackers`: by name,
    further ones than the recipe's.
    """
    session = Session(recipe, out, progress, trackers=trackers)
    given: Sequence[PreferencePair]
    if isinstance(pairs, str | Path):
        folder = Path(pairs)
        given, dev_pairs = read_pairs(folder, "train"), read_pairs(folder, "dev")
        if not given:
            raise TrainingError(
                f"{folder} holds no pairs; wanted Parquet files with pairs of the split "
                "train: make some with `orality pairs`, or give what `orality push` shared"
            )
    else:
        given = pairs
    with session.run.lock():
        return session.train_pairs(given, dev_pairs, Path(out), [], session.tracked("train"))


def evaluate(
    recipe: Recipe | str | Path, out: str | Path, *, progress: Progress = silent
) -> dict[str, Any]:
    """Evaluate the pre-trained model and every adapter of a run; returns the results."""
    session = Session(recipe, out, progress)
    with session.open():
        return measure_systems(session, ensure_prompts(session))

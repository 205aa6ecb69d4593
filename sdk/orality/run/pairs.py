"""Rounds of pairs: what is missing is handed to the workers."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from orality.errors import StoreError
from orality.feedback import (
    Prompts,
    Round,
    Selection,
    SelectionRule,
    groups_of,
    note_selection,
    reselect,
    resolve,
)
from orality.recipe import Recipe
from orality.recipe.pair_sections import Thresholds
from orality.run.prompts import max_new_units
from orality.run.session import Session
from orality.run.stages import RoundSpec, open_round
from orality.run.workers import Job, Ledger, ShardsDone

logger = logging.getLogger(__name__)


def make_round(
    session: Session,
    prompts: Prompts,
    name: str,
    thresholds: Thresholds,
    adapters: Sequence[Path],
    shards: Sequence[str] | None = None,
) -> Path:
    """Make a round's pairs, sampled from the policy of `adapters`; returns their folder.

    `shards`: of prompts; all of train and dev for None.
    """
    rule = session.rule(thresholds)
    shards = prompts.shards("train", "dev") if shards is None else shards
    work, ledger = _judge(session, prompts, name, adapters, shards, rule.fixed)
    stored = resolve(rule, session.run.path, name)
    folder = work.folder / "pairs"
    if rule.fixed is not None:  # then the workers have made the pairs
        note_selection(folder, stored)
        return folder
    began, used = time.monotonic(), stored.selection
    made = reselect(work, stored, folder)
    logger.info(
        "%s: thresholds %.3g and %.3g, a gap of %.2g and auto-BLEU up to %.2g, by which %d of %d "
        "prompts give a pair",
        name, used.rejected, used.chosen, used.min_gap, used.max_auto_bleu, stored.pairing,
        stored.prompts,
    )  # fmt: skip
    seconds = time.monotonic() - began
    ledger.add(ShardsDone(stage="pairs", shards=tuple(shards), rows=made, seconds=seconds))
    return folder


def judge_policy(
    session: Session, prompts: Prompts, name: str, adapters: Sequence[Path], *, split: str
) -> Path:
    """Continue the prompts of one split with the policy of `adapters`, and judge what it says.

    Returns the folder `name` of the run, which holds the stages of a round without pairs.
    """
    work, _ = _judge(session, prompts, name, adapters, prompts.shards(split), None)
    return work.folder


def _judge(
    session: Session,
    prompts: Prompts,
    name: str,
    adapters: Sequence[Path],
    shards: Sequence[str],
    selection: Selection | None,
) -> tuple[Round, Ledger]:
    """Have the stages of a round made; pairs are among them where there is a selection."""
    spec = RoundSpec(
        name=name,
        adapters=tuple(str(path.relative_to(session.run.path)) for path in adapters),
        counts=prompts.counts,
        max_new_units=max_new_units(session, prompts),
        selection=selection,
    )
    work = open_round(session.components, session.run.path, spec)
    left = {stage: work.missing(stage, shards) for stage in work.stages}
    totals = {stage: work.expected(stage, shards) for stage in work.stages}
    done = {stage: totals[stage] - work.expected(stage, left[stage]) for stage in work.stages}
    ledger = Ledger(session.run.path, name, totals, done, session.progress)
    todo = {shard for missing in left.values() for shard in missing}
    groups = groups_of(work, [shard for shard in shards if shard in todo])
    session.work(session.worker_spec(spec), [Job(group) for group in groups], ledger)
    return work, ledger


def reselect_round(
    session: Session, name: str, rule: SelectionRule, folder: Path | None = None
) -> Path:
    """Store the pairs that another selection makes of a round; returns their folder.

    StoreError when the run was made with another recipe, up to what follows the judges.
    """
    begun = Recipe.load(session.run.path / "recipe.yaml").feedback
    ours = session.recipe.feedback
    differing = [key for key in ours if ours[key] != begun.get(key)]
    if differing:
        raise StoreError(
            f"{session.run.path} was made with another recipe: it differs in "
            f"{', '.join(differing)}; nothing was selected"
        )
    prompts = Prompts.of(session.run.path / "prompts")
    spec = RoundSpec(name=name, adapters=(), counts=prompts.counts, max_new_units=1, selection=None)
    stored = resolve(rule, session.run.path, name)
    folder = folder or session.run.stage(name, f"pairs-{stored.selection.label}")
    reselect(open_round(session.components, session.run.path, spec), stored, folder)
    return folder

"""How many pairs a round's thresholds gave, and others would have given (Align-SLM, table 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orality.feedback import Selection
from orality.feedback.select import Candidate
from orality.feedback.yields import threshold_grid, yields
from orality.report.data.run_data import Continuation, RunData, Stage
from orality.report.paper.table import Table


@dataclass(frozen=True, slots=True)
class RoundYield:
    """A row of the table: how many prompts give a pair."""

    round: str
    rejected: float
    chosen: float
    prompts: int
    pairs: int
    used: bool

    @property
    def share(self) -> float:
        """Of the prompts, those that give a pair."""
        return self.pairs / self.prompts if self.prompts else 0.0


def round_yields(stage: Stage, others: Sequence[tuple[float, float]]) -> list[RoundYield]:
    """A round under its own thresholds, under `others`, and under every two whole grades.

    Empty where nothing is judged or the round has no thresholds.
    """
    limits = stage.thresholds
    if limits.rejected is None or limits.chosen is None:
        return []
    candidates = _candidates(stage)
    scores = [
        item.score for found in candidates.values() for item in found if item.score is not None
    ]
    if not scores:
        return []
    used = (float(limits.rejected), float(limits.chosen))
    prompts = len({item.prompt_id for item in stage.continuations})
    selection = Selection(
        rejected=used[0],
        chosen=used[1],
        max_auto_bleu=1.0 if limits.max_auto_bleu is None else limits.max_auto_bleu,
        min_gap=limits.min_gap,
    )
    grid = threshold_grid(scores, [used, *others])
    return [
        RoundYield(
            stage.title, found.rejected, found.chosen, prompts,
            stage.pairing if mine and stage.pairing else found.pairs, mine,
        )
        for found in yields(candidates, grid, selection)
        if (mine := (found.rejected, found.chosen) == used) or found.pairs
    ]  # fmt: skip


def run_yields(run: RunData) -> list[RoundYield]:
    """Every judged round's rows."""
    thresholds = [
        (float(stage.thresholds.rejected), float(stage.thresholds.chosen))
        for stage in run.rounds
        if stage.thresholds.rejected is not None and stage.thresholds.chosen is not None
    ]
    return [row for stage in run.rounds for row in round_yields(stage, thresholds)]


def yield_table(run: RunData) -> Table:
    """The rows as a table for CSV."""
    return Table(
        ["round", "rejected_at_most", "chosen_at_least", "prompts", "pairs", "share", "used"],
        [
            [row.round, row.rejected, row.chosen, row.prompts, row.pairs, row.share,
             "yes" if row.used else "no"]
            for row in run_yields(run)
        ],
    )  # fmt: skip


def _candidates(stage: Stage) -> dict[str, list[Candidate]]:
    spoken = any(item.audio is not None for item in stage.continuations)
    found: dict[str, list[Candidate]] = {}
    for item in stage.continuations:
        if not (spoken and _is_empty(item)):
            candidate = Candidate(item.id, item.score, item.auto_bleu, item.perplexity)
            found.setdefault(item.prompt_id, []).append(candidate)
    return found


def _is_empty(item: Continuation) -> bool:
    """No units were drawn, so nothing was spoken; a pair is never made of it."""
    return item.audio is None and not item.text

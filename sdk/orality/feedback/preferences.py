"""Preference pairs: made of what was judged by a selection, stored, and read as typed values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orality.feedback.schemas import PAIRS
from orality.feedback.seeds import seed_of
from orality.feedback.select import Candidate, candidate_of, select_pair, select_pair_by_perplexity
from orality.store import iterate_records
from orality.types import PreferencePair, Units

Record = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """How pairs are selected: `by` score (equation 2) or perplexity (equation 1).

    `verdicts`: the folder of the judge whose scores decide.
    """

    rejected: float
    chosen: float
    max_auto_bleu: float
    by: Literal["score", "perplexity"] = "score"
    verdicts: str = "verdicts"

    @property
    def columns(self) -> list[str]:
        """What it needs to know of a verdict."""
        return ["id", "score", *(["metrics"] if self.by == "perplexity" else [])]

    @property
    def label(self) -> str:
        """A name for a folder of such pairs: `2-4-0.1`, with what else is unusual."""
        unusual = [name for name in (self.by, self.verdicts) if name not in {"score", "verdicts"}]
        figures = [f"{value:g}" for value in (self.rejected, self.chosen, self.max_auto_bleu)]
        return "-".join([*figures, *unusual])

    def pick(
        self, candidates: Sequence[Candidate], *, seed: int
    ) -> tuple[Candidate, Candidate] | None:
        """(chosen, rejected) among a prompt's candidates, or None."""
        if self.by == "perplexity":
            return select_pair_by_perplexity(
                candidates, max_auto_bleu=self.max_auto_bleu, seed=seed
            )
        return select_pair(
            candidates,
            rejected=self.rejected,
            chosen=self.chosen,
            max_auto_bleu=self.max_auto_bleu,
            seed=seed,
        )


def pair_table(
    prompts: pa.Table,
    continuations: pa.Table,
    transcripts: Mapping[str, Record],
    verdicts: Mapping[str, Record],
    selection: Selection,
    *,
    seed: int,
) -> pa.Table:
    """The pairs of prompts, in their order; a prompt may give none. `seed` breaks ties.

    Units are only read of what is picked: most of a shard is units.
    """
    places: dict[str, int] = {}  # of continuations that have units
    drawn: dict[str, list[str]] = {}
    lengths = pc.list_value_length(continuations["units"]).to_pylist()
    rows = continuations.select(["id", "prompt_id"]).to_pylist()
    for place, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        if length:
            places[row["id"]] = place
            drawn.setdefault(row["prompt_id"], []).append(row["id"])
    asked: list[int] = []
    pairs: list[tuple[Candidate, Candidate]] = []
    for place, row in enumerate(prompts.select(["id", "skipped"]).to_pylist()):
        names = [] if row["skipped"] else sorted(drawn.get(row["id"], []))
        candidates = [candidate_of(verdicts[name], transcripts.get(name)) for name in names]
        pair = selection.pick(candidates, seed=seed_of(seed, "select", row["id"]))
        if pair is not None:
            asked.append(place)
            pairs.append(pair)
    prompts = _take(prompts, asked)
    chosen = _take(continuations, [places[pair[0].id] for pair in pairs])
    rejected = _take(continuations, [places[pair[1].id] for pair in pairs])
    return pa.table(
        {
            "id": prompts["id"],
            "prompt_id": prompts["id"],
            "split": prompts["split"],
            "prompt_units": prompts["units"],
            "chosen_id": chosen["id"],
            "rejected_id": rejected["id"],
            "chosen_units": chosen["units"],
            "rejected_units": rejected["units"],
            "chosen_score": [pair[0].score for pair in pairs],
            "rejected_score": [pair[1].score for pair in pairs],
            "chosen_auto_bleu": [pair[0].auto_bleu for pair in pairs],
            "rejected_auto_bleu": [pair[1].auto_bleu for pair in pairs],
            "reference": chosen["reference"],
            "reference_chosen": chosen["log_prob"],
            "reference_rejected": rejected["log_prob"],
        },
        schema=PAIRS,
    )


def _take(table: pa.Table, places: Sequence[int]) -> pa.Table:
    return table.take(pa.array(places, pa.int64()))


def read_pairs(folder: Path, split: str | None = None) -> list[PreferencePair]:
    """Stored pairs as typed values; `split` picks train or dev."""
    rows = iterate_records(folder)
    made = [to_pair(row) for row in rows if split in (None, row["split"])]
    return sorted(made, key=lambda pair: pair.id)


def to_pair(row: Record) -> PreferencePair:
    """A record of the stage `pairs` as a typed value."""

    def units(name: str) -> Units:
        return Units(np.asarray(row[name], dtype=np.int64))

    return PreferencePair(
        id=row["id"],
        prompt_id=row["prompt_id"],
        prompt=units("prompt_units"),
        chosen=units("chosen_units"),
        rejected=units("rejected_units"),
        chosen_score=row["chosen_score"],
        rejected_score=row["rejected_score"],
        reference=row["reference"],
        reference_chosen=row["reference_chosen"],
        reference_rejected=row["reference_rejected"],
        metadata={
            name: row[name]
            for name in ("chosen_id", "rejected_id", "chosen_auto_bleu", "rejected_auto_bleu")
        },
    )

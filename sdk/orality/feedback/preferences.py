"""Preference pairs: made of what was judged by a selection, stored, and read as typed values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from orality.errors import StoreError
from orality.feedback.given_pairs import given_rows, pair_files
from orality.feedback.schemas import PAIRS
from orality.feedback.seeds import seed_of
from orality.feedback.select import (
    Candidate,
    Pair,
    candidate_of,
    select_pair_by_perplexity,
    select_pairs,
)
from orality.types import PreferencePair, Units

Record = dict[str, Any]
_NOTED = ("chosen_id", "rejected_id", "chosen_auto_bleu", "rejected_auto_bleu", "draw")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """How pairs are selected: `by` score (equation 2) or perplexity (equation 1).

    Fields are those of `select_pairs`; `verdicts`: the folder of the judge whose scores decide.
    """

    rejected: float
    chosen: float
    max_auto_bleu: float
    min_gap: float = 0.0
    repetition_pairs: bool = False
    pairs_per_prompt: int = 1
    by: Literal["score", "perplexity"] = "score"
    verdicts: str = "verdicts"

    @property
    def columns(self) -> list[str]:
        """What it needs to know of a verdict."""
        return ["id", "score", *(["metrics"] if self.by == "perplexity" else [])]

    @property
    def label(self) -> str:
        """A name for a folder of such pairs: `2-4-0.1`, with what else is unusual."""
        figures = [f"{value:g}" for value in (self.rejected, self.chosen, self.max_auto_bleu)]
        unusual = [name for name in (self.by, self.verdicts) if name not in {"score", "verdicts"}]
        unusual += [f"gap-{self.min_gap:g}"] if self.min_gap else []
        unusual += [f"upto-{self.pairs_per_prompt}"] if self.pairs_per_prompt > 1 else []
        unusual += ["repetition"] if self.repetition_pairs else []
        return "-".join([*figures, *unusual])

    def pick(self, candidates: Sequence[Candidate], *, seed: int = 0) -> list[Pair]:
        """The pairs of one prompt's candidates, none where the selection leaves none."""
        if self.by == "perplexity":
            return select_pair_by_perplexity(
                candidates, max_auto_bleu=self.max_auto_bleu, seed=seed
            )
        return select_pairs(
            candidates,
            rejected=self.rejected,
            chosen=self.chosen,
            max_auto_bleu=self.max_auto_bleu,
            min_gap=self.min_gap,
            repetition_pairs=self.repetition_pairs,
            pairs_per_prompt=self.pairs_per_prompt,
            seed=seed,
        )

    def yield_of(self, candidates: Mapping[str, Sequence[Candidate]]) -> float:
        """The share of prompts that give a pair."""
        given = sum(bool(self.pick(some)) for some in candidates.values())
        return given / len(candidates) if candidates else 0.0


def pair_table(
    prompts: pa.Table,
    continuations: pa.Table,
    transcripts: Mapping[str, Record],
    verdicts: Mapping[str, Record],
    selection: Selection,
    *,
    seed: int,
) -> pa.Table:
    """The pairs of prompts, in their order; a prompt may give none, or several.

    `seed` picks among too many ties. Units are only read of what is picked: most of a shard is
    units. A prompt's first pair has its id, the others a number behind it: `id#2`.
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
    pairs: list[Pair] = []
    names: list[str] = []
    for place, row in enumerate(prompts.select(["id", "skipped"]).to_pylist()):
        some = [] if row["skipped"] else sorted(drawn.get(row["id"], []))
        candidates = [candidate_of(verdicts[name], transcripts.get(name)) for name in some]
        picked = selection.pick(candidates, seed=seed_of(seed, "select", row["id"]))
        for number, pair in enumerate(picked, start=1):
            asked.append(place)
            pairs.append(pair)
            names.append(row["id"] if number == 1 else f"{row['id']}#{number}")
    prompts = _take(prompts, asked)
    chosen = _take(continuations, [places[pair.chosen.id] for pair in pairs])
    rejected = _take(continuations, [places[pair.rejected.id] for pair in pairs])
    return pa.table(
        {
            "id": names,
            "prompt_id": prompts["id"],
            "split": prompts["split"],
            "prompt_units": prompts["units"],
            "chosen_id": chosen["id"],
            "rejected_id": rejected["id"],
            "chosen_units": chosen["units"],
            "rejected_units": rejected["units"],
            "chosen_score": [pair.chosen.score for pair in pairs],
            "rejected_score": [pair.rejected.score for pair in pairs],
            "chosen_auto_bleu": [pair.chosen.auto_bleu for pair in pairs],
            "rejected_auto_bleu": [pair.rejected.auto_bleu for pair in pairs],
            "draw": [
                row_id if pair.drawn else None
                for row_id, pair in zip(prompts["id"].to_pylist(), pairs, strict=True)
            ],
            "reference": chosen["reference"],
            "reference_chosen": chosen["log_prob"],
            "reference_rejected": rejected["log_prob"],
        },
        schema=PAIRS,
    )


def _take(table: pa.Table, places: Sequence[int]) -> pa.Table:
    return table.take(pa.array(places, pa.int64()))


def read_pairs(folder: Path, split: str | None = None) -> list[PreferencePair]:
    """Stored pairs as typed values; `split` picks train or dev.

    A run's pairs, what `orality push` shares of them, or Parquet files of one's own. Raises
    StoreError for other columns or types, and for an id that comes twice.
    """
    rows = [row for path in pair_files(folder) for row in given_rows(path)]
    twice = [name for name, count in Counter(row["id"] for row in rows).items() if count > 1]
    if twice:
        raise StoreError(f"{folder} holds the pair {twice[0]!r} twice; give every pair its own id")
    made = [to_pair(row) for row in rows if split in (None, row["split"])]
    return sorted(made, key=lambda pair: pair.id)


def to_pair(row: Record) -> PreferencePair:
    """A record of the stage `pairs` as a typed value."""

    def units(name: str) -> Units:
        return Units.of(row[name])

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
        metadata={name: row.get(name) for name in _NOTED},
    )

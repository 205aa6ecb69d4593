"""Pairs selected from what is judged already, and nothing else: nothing is sampled again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from orality.errors import StoreError
from orality.feedback.pairs import Round
from orality.feedback.preferences import Selection
from orality.feedback.schemas import PAIRS
from orality.feedback.thresholds import SelectionRule
from orality.feedback.yields import BLEU_STEP, JudgedRound, histogram, read_candidates, score_step
from orality.store import (
    iterate_records,
    put_shard,
    read_json,
    shard_path,
    sound_shards,
    sync_files,
    write_json,
)
from orality.text.scripts import words

NOTE = "selection.json"


@dataclass(frozen=True, slots=True)
class StoredSelection:
    """What a folder of pairs was selected by, and the distributions that it was read off.

    `rule`: the thresholds as the recipe has them. `scores` and `auto_bleus`: counts by the lower
    edge of bins that are `score_step` and `BLEU_STEP` wide. `prompts`: how many were judged, of
    which `pairing` give a pair. All three are empty where the thresholds are the recipe's numbers.
    """

    selection: Selection
    rule: str = ""
    scores: dict[float, int] = field(default_factory=dict)
    auto_bleus: dict[float, int] = field(default_factory=dict)
    prompts: int = 0
    pairing: int = 0


def resolve(rule: SelectionRule, run: Path, name: str) -> StoredSelection:
    """The selection of a judged round, its thresholds read off the verdicts where they are open.

    Raises StoreError when nothing is judged.
    """
    if rule.fixed is not None:
        return StoredSelection(rule.fixed, str(rule.thresholds))
    candidates = read_candidates(run / name, rule.options.verdicts)
    rows = iterate_records(run / "prompts", ["continuation_text", "skipped"])
    heard = iterate_records(run / name / "transcripts", ["text"])
    selection = rule.resolve(
        candidates,
        true_texts=[row["continuation_text"] or "" for row in rows if row["skipped"] is None],
        lengths=[len(words(row["text"] or "")) for row in heard],
    )
    judged = JudgedRound(candidates, {})
    return StoredSelection(
        selection,
        str(rule.thresholds),
        scores=histogram(judged.scores, score_step(judged.scores)),
        auto_bleus=histogram(judged.auto_bleus, BLEU_STEP),
        prompts=len(candidates),
        pairing=round(selection.yield_of(candidates) * len(candidates)),
    )


def reselect(work: Round, stored: StoredSelection | Selection, folder: Path) -> int:
    """Store in `folder` the pairs that a selection makes; returns how many there are.

    Only shards that are judged to the end are read, and nothing else is changed. StoreError when
    there are none, or when `folder` holds the pairs of another selection.
    """
    stored = StoredSelection(stored) if isinstance(stored, Selection) else stored
    selection = stored.selection
    shards = [
        shard
        for shard in work.prompts.shards("train", "dev")
        if shard_path(work.folder / selection.verdicts, shard).exists()
    ]
    if not shards:
        raise StoreError(
            f"{work.folder} holds no finished shard of {selection.verdicts}; judge something with "
            "`orality pairs` first"
        )
    sound_shards(folder)
    note_selection(folder, stored)

    def make(shard: str) -> int:
        pairs = work.select(shard, selection)
        put_shard(shard_path(folder, shard), pairs, PAIRS, sync=False)
        return len(pairs)

    with ThreadPoolExecutor() as pool:
        made = sum(pool.map(make, shards))
    sync_files(folder)
    return made


def note_selection(folder: Path, stored: StoredSelection) -> None:
    """Write down what a folder of pairs is selected by; StoreError when it holds others."""
    before = read_selection(folder)
    if before is not None and before.selection != stored.selection:
        raise StoreError(f"{folder} holds the pairs of another selection; give another folder")
    write_json(folder / NOTE, asdict(stored))


def read_selection(folder: Path) -> StoredSelection | None:
    """What the pairs in a folder were selected by; None where it does not say."""
    if not (folder / NOTE).is_file():
        return None
    data: dict[str, Any] = read_json(folder / NOTE)
    counts = {
        name: {float(edge): int(count) for edge, count in data.get(name, {}).items()}
        for name in ("scores", "auto_bleus")
    }
    return StoredSelection(
        Selection(**data["selection"]),
        rule=data.get("rule", ""),
        prompts=data.get("prompts", 0),
        pairing=data.get("pairing", 0),
        scores=counts["scores"],
        auto_bleus=counts["auto_bleus"],
    )

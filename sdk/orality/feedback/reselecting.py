"""Other thresholds for what is judged: pairs selected anew, and nothing else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from orality.errors import StoreError
from orality.feedback.pairs import Round
from orality.feedback.preferences import Selection
from orality.feedback.schemas import PAIRS
from orality.store import put_shard, read_json, shard_path, sync_files, write_json


def reselect(work: Round, selection: Selection, folder: Path) -> int:
    """Store in `folder` the pairs that another selection makes; returns how many there are.

    Only shards that are judged to the end are read, and nothing else is changed. StoreError when
    there are none, or when `folder` holds the pairs of another selection.
    """
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
    note = folder / "selection.json"
    if note.exists() and read_json(note) != asdict(selection):
        raise StoreError(f"{folder} holds the pairs of another selection; give another folder")
    write_json(note, asdict(selection))

    def make(shard: str) -> int:
        pairs = work.select(shard, selection)
        put_shard(shard_path(folder, shard), pairs, PAIRS, sync=False)
        return len(pairs)

    with ThreadPoolExecutor() as pool:
        made = sum(pool.map(make, shards))
    sync_files(folder)
    return made

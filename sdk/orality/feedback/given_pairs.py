"""Pairs from elsewhere: columns and types are checked before anything is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from orality.errors import StoreError
from orality.feedback.schemas import PAIRS
from orality.store import read_table

Record = dict[str, Any]

NEEDED = ("id", "prompt_units", "chosen_units", "rejected_units")
SHARED = {side: f"{side}_units" for side in ("prompt", "chosen", "rejected")}
"""What `orality push` calls the units, and what a run does."""


def pair_files(folder: Path) -> list[Path]:
    """The Parquet files of a folder of pairs: of a run, of a push (also its `data`), of others."""
    if folder.is_file():
        return [folder]
    for place in (folder, folder / "data", folder / "preferences" / "data"):
        found = sorted(place.glob("*.parquet"))
        if found:
            return [path for path in found if not path.name.startswith(".")]
    return []


def given_rows(path: Path) -> list[Record]:
    """The rows of one file under the names of a run's pairs, those it lacks None.

    A file without `split` is of the split that its name begins with, else train; without
    `prompt_id`, each row is a prompt of its own. Raises StoreError, which names the file, for
    missing columns, other types, and units that are missing or negative.
    """
    table = read_table(path)
    if "prompt_units" not in table.column_names:
        table = table.rename_columns([SHARED.get(name, name) for name in table.column_names])
    missing = [name for name in NEEDED if name not in table.column_names]
    if missing:
        raise StoreError(
            f"{path} has no {', '.join(missing)}; pairs have the columns {', '.join(NEEDED)} (or "
            f"{', '.join(SHARED)} for the units), and may have the others of a run's pairs"
        )
    known = {name: _cast(path, table, name) for name in PAIRS.names if name in table.column_names}
    for name in NEEDED[1:]:
        _require_units(path, name, known[name])
    if known["id"].null_count:
        raise StoreError(f"{path} has {known['id'].null_count} pairs without an id")
    rows = pa.table(known).to_pylist()
    defaults: Mapping[str, Any] = dict.fromkeys(PAIRS.names)
    split = "dev" if path.name.startswith(("dev", "validation")) else "train"
    made = [{**defaults, **row} for row in rows]
    for row in made:
        row["prompt_id"] = row["prompt_id"] or row["id"]
        row["split"] = row["split"] or split
    return made


def _cast(path: Path, table: pa.Table, name: str) -> pa.ChunkedArray:
    wanted = PAIRS.field(name).type
    try:
        return table[name].cast(wanted)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise StoreError(
            f"{path}: the column {name} holds {table[name].type}, wanted {wanted} ({error})"
        ) from error


def _require_units(path: Path, name: str, column: pa.ChunkedArray) -> None:
    inner = pc.list_flatten(column)
    empty = pc.sum(pc.equal(pc.list_value_length(column), 0)).as_py() or 0
    lowest = pc.min(inner).as_py()
    if column.null_count or empty or inner.null_count or (lowest is not None and lowest < 0):
        raise StoreError(
            f"{path}: the column {name} has empty lists, missing or negative units; units are "
            "numbers from 0"
        )

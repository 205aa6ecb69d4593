"""Stages keep their records in parquet shards, which appear whole or not at all."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from orality.errors import StoreError
from orality.progress import Progress, silent
from orality.store.files import atomic_write, drop_unfinished, explain_os_errors

logger = logging.getLogger(__name__)

Record = dict[str, Any]
# What is no text any more is a ValueError.
_DAMAGE = (OSError, pa.ArrowException, ValueError)
_SHARD = re.compile(r"([a-z]+)-(\d{5,})\.parquet")


def shard_paths(folder: Path) -> list[Path]:
    """The folder's shards in order; unfinished temporary files are not among them."""
    if not folder.is_dir():
        return []
    return sorted(
        (path for path in folder.iterdir() if _SHARD.fullmatch(path.name)), key=_prefix_and_number
    )


def shard_path(folder: Path, shard: str) -> Path:
    """Where a folder keeps a shard: `train-00007` in `train-00007.parquet`."""
    return folder / f"{shard}.parquet"


def put_shard(
    path: Path, records: Sequence[Record] | pa.Table, schema: pa.Schema, *, sync: bool = True
) -> None:
    """Write one shard, whole or not at all, with a checksum on every page.

    Without `sync` it is on disk only after `sync_files`.
    """
    if isinstance(records, pa.Table):
        table = records.select(schema.names).cast(schema)
    else:
        table = pa.Table.from_pylist(list(records), schema=schema)
    atomic_write(
        path,
        lambda file: pq.write_table(table, file, compression="zstd", write_page_checksum=True),
        sync=sync,
    )


def write_shard(folder: Path, records: Sequence[Record], schema: pa.Schema) -> Path:
    """Add one shard with the next free number; it appears whole or not at all."""
    existing = shard_paths(folder)
    match = _SHARD.fullmatch(existing[-1].name) if existing else None
    number = int(match.group(2)) + 1 if match else 0
    path = folder / f"shard-{number:05d}.parquet"
    put_shard(path, records, schema)
    return path


def read_shard(path: Path, columns: list[str] | None = None) -> list[Record]:
    """The records of one shard, as they were written; StoreError names a damaged one."""
    with _damage_named(path):
        return list(_read(path, columns).to_pylist())


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """The columns of one shard; StoreError names a damaged one."""
    with _damage_named(path):
        return _read(path, columns)


def _read(path: Path, columns: list[str] | None) -> pa.Table:
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        return file.read(columns=columns, use_threads=False)


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise StoreError(
            f"shard {path} is damaged ({error}); delete it and run the same command again: "
            "only its records are made anew"
        ) from error


def sound_shards(folder: Path) -> set[str]:
    """Names of the shards that are there and whole; a torn one is set aside, to be made anew.

    What is torn is seen by a shard's footer, which every cut destroys; a changed byte elsewhere is
    seen by its page's checksum when the shard is read. Also removes what a killed process was still
    writing, so only who holds the run may call it.
    """
    drop_unfinished(folder)
    sound = set()
    for path in shard_paths(folder):
        try:
            pq.read_metadata(path)
        except _DAMAGE as error:
            aside = path.with_name(f"{path.name}.damaged")
            with explain_os_errors(path):
                os.replace(path, aside)
            logger.warning("%s is damaged (%s): kept as %s, made anew", path, error, aside.name)
        else:
            sound.add(path.stem)
    return sound


def iterate_records(folder: Path, columns: list[str] | None = None) -> Iterator[Record]:
    """Every record of a stage, shard by shard."""
    for path in shard_paths(folder):
        yield from read_shard(path, columns)


def count_records(folder: Path) -> int:
    """How many records a stage holds, by the footers of its shards."""
    count = 0
    for path in shard_paths(folder):
        with _damage_named(path):
            count += pq.read_metadata(path).num_rows
    return count


def _prefix_and_number(path: Path) -> tuple[str, int]:
    prefix, _, number = path.stem.partition("-")
    return prefix, int(number)


def read_records(folder: Path, columns: list[str] | None = None) -> list[Record]:
    """Every record of a stage, ordered by id, so that shard boundaries never matter."""
    names = None if columns is None else sorted({"id", *columns})
    return sorted(iterate_records(folder, names), key=lambda record: str(record["id"]))


def run_stage(
    folder: Path,
    inputs: Sequence[Record],
    compute: Callable[[list[Record]], list[Record]],
    *,
    schema: pa.Schema,
    source: str = "id",
    batch_size: int = 16,
    progress: Progress = silent,
    name: str = "",
) -> list[Record]:
    """Turn input records into stored records, skipping what is already stored.

    `compute` maps a batch of inputs to output records; an input counts as done when an output's
    column `source` holds its id (so one input may have several outputs, but at least one).
    Returns all records of the stage that belong to `inputs`, ordered by id.
    """
    wanted = {record["id"] for record in inputs}
    if len(wanted) != len(inputs):
        raise StoreError(f"stage {name or folder.name} was given the same id twice")
    done = {record[source] for record in iterate_records(folder, [source])}
    missing = [record for record in inputs if record["id"] not in done]
    progress(name or folder.name, len(inputs) - len(missing), len(inputs))
    for start in range(0, len(missing), batch_size):
        batch = missing[start : start + batch_size]
        outputs = compute(batch)
        unanswered = {record["id"] for record in batch} - {record[source] for record in outputs}
        if unanswered:
            missed = ", ".join(sorted(unanswered)[:3])
            raise StoreError(f"stage {name or folder.name} gave no record for {missed}")
        write_shard(folder, outputs, schema)
        finished = len(inputs) - len(missing) + start + len(batch)
        progress(name or folder.name, finished, len(inputs))
    return [record for record in read_records(folder) if record[source] in wanted]

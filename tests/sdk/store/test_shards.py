from __future__ import annotations

import os

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orality import StoreError
from orality.store import Run, atomic_write, read_records, run_stage, write_shard

SCHEMA = pa.schema([("id", pa.string()), ("value", pa.int64())])


def inputs(count):
    return [{"id": f"item-{number:03d}"} for number in range(count)]


def lengths(batch):
    return [{"id": row["id"], "value": len(batch)} for row in batch]


def test_a_stage_does_only_what_is_missing(tmp_path):
    seen = []

    def compute(batch):
        seen.extend(row["id"] for row in batch)
        return lengths(batch)

    run_stage(tmp_path, inputs(5), compute, schema=SCHEMA, batch_size=2)
    records = run_stage(tmp_path, inputs(8), compute, schema=SCHEMA, batch_size=2)
    assert [record["id"] for record in records] == [row["id"] for row in inputs(8)]
    assert sorted(seen) == [row["id"] for row in inputs(8)]


@given(cuts=st.lists(st.integers(0, 11), max_size=6), size=st.integers(1, 5))
def test_interruptions_never_change_the_records(tmp_path_factory, cuts, size):
    folder = tmp_path_factory.mktemp("stage")

    def value(batch):
        return [{"id": row["id"], "value": int(row["id"][-3:]) ** 2} for row in batch]

    for cut in cuts:
        remaining = [cut]

        def dying(batch, remaining=remaining):
            remaining[0] -= len(batch)
            if remaining[0] < 0:
                raise KeyboardInterrupt
            return value(batch)

        try:
            run_stage(folder, inputs(11), dying, schema=SCHEMA, batch_size=size)
        except KeyboardInterrupt:
            pass
    records = run_stage(folder, inputs(11), value, schema=SCHEMA, batch_size=size)
    assert records == [{"id": row["id"], "value": n**2} for n, row in enumerate(inputs(11))]


def test_an_input_may_have_several_outputs(tmp_path):
    schema = pa.schema([("id", pa.string()), ("parent", pa.string())])

    def twins(batch):
        return [
            {"id": f"{row['id']}-{twin}", "parent": row["id"]} for row in batch for twin in "ab"
        ]

    first = run_stage(tmp_path, inputs(2), twins, schema=schema, source="parent")
    again = run_stage(tmp_path, inputs(2), lambda batch: 1 / 0, schema=schema, source="parent")
    assert len(first) == 4
    assert first == again


def test_a_forgotten_record_is_an_error(tmp_path):
    with pytest.raises(StoreError, match="gave no record for item-001"):
        run_stage(tmp_path, inputs(2), lambda batch: lengths(batch)[:1], schema=SCHEMA)


def test_the_same_id_twice_is_an_error(tmp_path):
    with pytest.raises(StoreError, match="same id twice"):
        run_stage(tmp_path, inputs(1) * 2, lengths, schema=SCHEMA)


def test_a_damaged_shard_is_named(tmp_path):
    path = write_shard(tmp_path, lengths(inputs(3)), SCHEMA)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StoreError, match="shard-00000.parquet is damaged"):
        read_records(tmp_path)


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match="the disk is full"):
        atomic_write(path, fail)
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_what_is_written_can_be_read_by_whom_the_umask_lets(tmp_path):
    before = os.umask(0o022)
    try:
        atomic_write(tmp_path / "file", lambda file: file.write(b"x"))
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_a_run_folder_belongs_to_one_recipe(tmp_path):
    run = Run(tmp_path / "run")
    run.open(recipe="name: a", fingerprint="aaaa", details={})
    run.open(recipe="name: a", fingerprint="aaaa", details={})
    with pytest.raises(StoreError, match="another recipe"):
        run.open(recipe="name: b", fingerprint="bbbb", details={})


def test_a_folder_with_foreign_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(StoreError, match="not empty"):
        Run(tmp_path).open(recipe="", fingerprint="x", details={})


def test_two_processes_never_share_a_run(tmp_path):
    with (
        Run(tmp_path).lock(),
        pytest.raises(StoreError, match="another process"),
        Run(tmp_path).lock(),
    ):
        pass

"""Shards that something has cut, changed or written twice at a time."""

from __future__ import annotations

import logging
import os
import random
import signal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orality import StoreError
from orality.feedback.schemas import CONTINUATIONS
from orality.store import (
    count_records,
    put_shard,
    read_records,
    read_shard,
    shard_path,
    sound_shards,
)

ZSTD = b"\x28\xb5\x2f\xfd"
ROWS = [
    {
        "id": f"utterance-{number}",
        "prompt_id": f"prompt-{number // 5}",
        "index": number % 5,
        "units": [random.Random(number).randrange(500) for _ in range(5 + number % 9)],
        "log_prob": -number / 3,
        "finished": number % 2 == 0,
        "reference": "a" * 64,
    }
    for number in range(50)
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = shard_path(tmp_path_factory.mktemp("whole"), "train-00000")
    put_shard(path, ROWS, CONTINUATIONS)
    assert read_shard(path) == ROWS
    return path.read_bytes()


def test_the_same_records_are_the_same_bytes(whole: bytes, tmp_path: Path) -> None:
    path = shard_path(tmp_path, "dev-00003")
    put_shard(path, pa.Table.from_pylist(ROWS, schema=CONTINUATIONS), CONTINUATIONS, sync=False)
    assert path.read_bytes() == whole


def test_every_cut_is_named_when_read(whole: bytes, tmp_path: Path) -> None:
    path = shard_path(tmp_path, "train-00000")
    path.write_bytes(whole)
    for cut in reversed(range(len(whole))):
        os.truncate(path, cut)
        with pytest.raises(StoreError, match="train-00000.parquet is damaged.*run the same comm"):
            read_shard(path, ["id"])


def test_every_cut_is_set_aside_and_made_anew(
    whole: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, other = shard_path(tmp_path, "train-00000"), shard_path(tmp_path, "train-00001")
    other.write_bytes(whole)
    caplog.set_level(logging.CRITICAL)  # a warning for each of several thousand cuts
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        assert sound_shards(tmp_path) == {"train-00001"}
        assert not path.exists()
        assert path.with_name("train-00000.parquet.damaged").stat().st_size == cut
    put_shard(path, ROWS, CONTINUATIONS)
    assert path.read_bytes() == whole
    assert sound_shards(tmp_path) == {"train-00000", "train-00001"}
    assert count_records(tmp_path) == 100


def test_what_is_set_aside_is_said(
    whole: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shard_path(tmp_path, "train-00000").write_bytes(whole[:-100])
    sound_shards(tmp_path)
    assert "train-00000.parquet is damaged" in caplog.text
    assert "kept as train-00000.parquet.damaged, made anew" in caplog.text


def bodies(path: Path) -> list[range]:
    """Where the pages' contents are: each begins with the mark of its compression, behind a header;
    a small column has at most a page with its values' dictionary, and one with the values."""
    data, found = path.read_bytes(), []
    group = pq.read_metadata(path).row_group(0)
    for number in range(group.num_columns):
        column = group.column(number)
        starts = [
            place for place in (column.dictionary_page_offset, column.data_page_offset) if place
        ]
        ends = [*starts[1:], starts[0] + column.total_compressed_size]
        found += [
            range(data.index(ZSTD, first), end) for first, end in zip(starts, ends, strict=True)
        ]
    return found


def test_every_changed_byte_of_a_page_is_named(whole: bytes, tmp_path: Path) -> None:
    path = shard_path(tmp_path, "train-00000")
    path.write_bytes(whole)
    places = [place for body in bodies(path) for place in body]
    assert len(places) > 800
    for place in places:
        path.write_bytes(changed(whole, place))
        with pytest.raises(StoreError, match="train-00000.parquet is damaged"):
            read_shard(path)


def test_changes_elsewhere_fail_with_a_name_or_not_at_all(whole: bytes, tmp_path: Path) -> None:
    """A footer has no checksum: what cannot be read is named, and no other error gets out."""
    path, named = shard_path(tmp_path, "train-00000"), 0
    footer = range(len(whole) - 8 - int.from_bytes(whole[-8:-4], "little"), len(whole))
    for place in footer:
        path.write_bytes(changed(whole, place))
        try:
            read_shard(path)
            sound_shards(tmp_path)
        except StoreError:
            named += 1
    assert named > len(footer) / 3


def changed(whole: bytes, place: int) -> bytes:
    """The file with one bit of a byte turned."""
    bit = 1 << random.Random(place).randrange(8)
    return whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :]


def test_two_who_write_the_same_shard_leave_one_whole(whole: bytes, tmp_path: Path) -> None:
    path = shard_path(tmp_path, "train-00000")
    writers = []
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            try:
                for _ in range(40):
                    put_shard(path, ROWS, CONTINUATIONS, sync=False)
            finally:
                os._exit(0)
        writers.append(pid)
    seen = 0
    while writers:
        if path.exists():
            assert path.read_bytes() == whole
            seen += 1
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid in writers:
            assert status == 0
            writers.remove(pid)
    assert seen
    assert [item.name for item in tmp_path.iterdir()] == ["train-00000.parquet"]


def test_a_writer_that_is_killed_leaves_the_old_shard_or_the_new(
    whole: bytes, tmp_path: Path
) -> None:
    path, draw = shard_path(tmp_path, "train-00000"), random.Random(0)
    put_shard(path, ROWS[:1], CONTINUATIONS)
    old = path.read_bytes()
    for _ in range(10):
        pid = os.fork()
        if pid == 0:
            while True:
                put_shard(path, ROWS, CONTINUATIONS, sync=False)
                put_shard(path, ROWS[:1], CONTINUATIONS, sync=False)
        for _ in range(draw.randrange(1, 2000)):
            assert path.read_bytes() in (old, whole)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert sound_shards(tmp_path) == {"train-00000"}
    assert [item.name for item in tmp_path.iterdir()] == ["train-00000.parquet"]
    assert read_records(tmp_path)[:1] == ROWS[:1]

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orality import StoreError, Waveform, write_audio
from orality.store import (
    Run,
    append_metrics,
    atomic_write,
    drop_unfinished,
    put_shard,
    read_json,
    read_metrics,
    shard_path,
    sound_shards,
    stage_costs,
    sync_files,
    write_json,
)
from orality.store.lines import append_line

SCHEMA = pa.schema([("id", pa.string())])
ROWS = [{"id": np.random.default_rng(number).bytes(90).hex()} for number in range(500)]
NOISE = Waveform(np.random.default_rng(0).normal(0, 0.1, 200_000).astype(np.float32), 16_000)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("what", ["shard", "recording", "json", "lines"])
def test_a_full_disk_is_one_clear_error_and_later_it_goes_on(small_disk: Path, what: str) -> None:
    def write() -> None:
        if what == "shard":
            put_shard(shard_path(small_disk, "train-00000"), ROWS, SCHEMA)
        elif what == "recording":
            write_audio(small_disk / "audio" / "a.flac", NOISE)
        elif what == "json":
            write_json(small_disk / "a.json", ["x"] * 9999)
        else:
            append_line(small_disk / "a.jsonl", ["x"] * 9999)

    (small_disk / "filler").write_bytes(bytes(1_040_000))
    with pytest.raises(StoreError, match="the disk is full while writing .*what was finished is"):
        write()
    assert not list(small_disk.rglob(".*"))  # what is unfinished does not take the space
    (small_disk / "filler").unlink()
    write()
    if what == "lines":
        assert [len(json.loads(line)) for line in (small_disk / "a.jsonl").open()] == [9999]


def test_a_limit_of_file_sizes_is_a_clear_error(tmp_path: Path) -> None:
    path, before = shard_path(tmp_path, "train-00000"), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(StoreError, match="train-00000.parquet cannot be written.*too large"):
            put_shard(path, ROWS, SCHEMA)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
    put_shard(path, ROWS, SCHEMA)
    assert sound_shards(tmp_path) == {"train-00000"}


@pytest.fixture
def someone_else() -> Iterator[Path]:
    """A folder of root's, seen by a user who may not write there."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if os.geteuid() == 0:
            folder.chmod(0o755)
            os.seteuid(65534)
            yield folder
            os.seteuid(0)
        else:
            folder.chmod(0o555)
            yield folder
            folder.chmod(0o755)


def test_a_read_only_folder_is_one_clear_error(someone_else: Path) -> None:
    for write in (
        lambda: put_shard(shard_path(someone_else, "train-00000"), ROWS[:1], SCHEMA),
        lambda: write_audio(someone_else / "a.flac", NOISE),
        lambda: write_json(someone_else / "new" / "a.json", {}),
        lambda: append_metrics(someone_else, stage="speech"),
        lambda: Run(someone_else).lock().__enter__(),
        lambda: Run(someone_else).open(recipe="", fingerprint="", details={}),
    ):
        with pytest.raises(StoreError, match="cannot be written: .*Permission denied"):
            write()
    assert list(someone_else.iterdir()) == []


def test_what_a_killed_process_was_writing_is_removed(tmp_path: Path) -> None:
    script = (
        "import os, sys, pathlib; from orality.store.files import atomic_write\n"
        "path = pathlib.Path(sys.argv[1]) / 'train-00000.parquet'\n"
        "atomic_write(path, lambda file: (file.write(b'half'), os.kill(os.getpid(), 9)))\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], timeout=60)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".train-00000.parquet.")
    for name in (".lock", ".gitkeep", "notes.txt"):
        (tmp_path / name).touch()
    drop_unfinished(tmp_path)
    assert sorted(item.name for item in tmp_path.iterdir()) == [".gitkeep", ".lock", "notes.txt"]
    drop_unfinished(tmp_path / "nowhere")


def test_many_files_are_synced_with_their_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, fsync = set(), os.fsync

    def noting(handle: int) -> None:
        synced.add(os.readlink(f"/proc/self/fd/{handle}"))
        fsync(handle)

    folder = tmp_path / "audio" / "train-00000"
    folder.mkdir(parents=True)
    names = [folder / f"{number}.flac" for number in range(20)]
    for name in names:
        name.write_bytes(b"x")
    monkeypatch.setattr(os, "fsync", noting)
    sync_files(folder)
    assert synced == {str(path) for path in (*names, folder, folder.parent)}
    sync_files(tmp_path / "nowhere")


def test_a_file_is_on_disk_before_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    for name in ("fsync", "replace"):
        original = getattr(os, name)

        def noting(*given: object, name: str = name, original: object = original) -> None:
            steps.append(name)
            original(*given)  # type: ignore[operator]

        monkeypatch.setattr(os, name, noting)
    atomic_write(tmp_path / "a", lambda file: file.write(b"x"))
    assert steps == ["fsync", "replace", "fsync"]


def test_a_failure_to_move_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: object, target: object) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(StoreError, match="the disk is full"):
        atomic_write(tmp_path / "a", lambda file: file.write(b"x"))
    assert list(tmp_path.iterdir()) == []


def test_a_torn_manifest_is_named(tmp_path: Path) -> None:
    write_json(tmp_path / "manifest.json", {"fingerprint": "aaaa"})
    whole = (tmp_path / "manifest.json").read_bytes()
    for cut in range(len(whole) - 1):
        (tmp_path / "manifest.json").write_bytes(whole[:cut])
        with pytest.raises(StoreError, match="manifest.json cannot be read"):
            read_json(tmp_path / "manifest.json")


def metrics_of(run: Path, rows: int) -> bytes:
    for number in range(rows):
        append_metrics(
            run, stage="speech", rows=number + 1, seconds=1.0, dollars=0.5, worker="a\u2028é"
        )
    return (run / "metrics.jsonl").read_bytes()


def test_every_cut_of_the_metrics_loses_a_line_at_most(tmp_path: Path) -> None:
    whole = metrics_of(tmp_path, 3)
    ends = [place + 1 for place, byte in enumerate(whole) if byte == 10]
    for cut in range(len(whole)):
        (tmp_path / "metrics.jsonl").write_bytes(whole[:cut])
        kept = sum(end <= cut for end in ends)
        found = [row["rows"] for row in read_metrics(tmp_path)]
        # a line that lacks nothing but its end is whole to a reader
        assert found in ([*range(1, kept + 1)], [*range(1, kept + 2)])
        assert sum(cost.rows for cost in stage_costs(tmp_path)) == sum(found)
        append_metrics(tmp_path, stage="speech", rows=9, seconds=1.0)
        assert [row["rows"] for row in read_metrics(tmp_path)] == [*range(1, kept + 1), 9]


@given(st.lists(st.text(max_size=20), max_size=4), st.text(min_size=1, max_size=9999))
def test_lines_survive_a_torn_one_of_any_length(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], torn: str
) -> None:
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    for line in lines:
        append_line(path, line)
    with path.open("ab") as file:
        file.write(torn.replace("\n", "").encode(errors="replace"))
    append_line(path, "end")
    found = [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
    assert found == [*lines, "end"]

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from orality import OralityError
from orality.errors import CorpusError
from orality.run.workers import (
    ComponentBuilt,
    ShardsDone,
    processes,
    work_in_process,
    work_in_processes,
)
from orality.store import shard_paths


@pytest.fixture
def started(monkeypatch):
    """The processes of workers, as they are started."""
    found = []

    class Noted(subprocess.Popen):
        def __init__(self, *given, **named):
            super().__init__(*given, **named)
            found.append(self)

    monkeypatch.setattr(processes.subprocess, "Popen", Noted)
    return found


def never():
    return False


def tree(run):
    files = [path for path in Path(run).rglob("*") if path.is_file()]
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


def test_two_processes_leave_the_same_bytes_as_none(cutting, chunks, started):
    events = []
    work_in_process()(cutting("a"), chunks(range(6)), lambda event: None, never)
    work_in_processes(2)(cutting("b"), chunks(range(6)), events.append, never)
    assert tree(cutting("a").folder) == tree(cutting("b").folder)
    made = [event for event in events if isinstance(event, ShardsDone)]
    assert sorted(event.shards[0] for event in made) == [f"train-{n:05d}" for n in range(6)]
    assert {event.worker for event in made} <= {0, 1}
    assert {event.place for event in events if isinstance(event, ComponentBuilt)} == {"tokenizer"}
    assert [process.poll() is not None for process in started] == [True, True]


def test_no_more_processes_than_jobs(cutting, chunks, started):
    work_in_processes(4)(cutting(), chunks([0]), lambda event: None, never)
    assert len(started) == 1
    work_in_processes(4)(cutting(), [], lambda event: None, never)
    assert len(started) == 1


def test_a_worker_that_is_killed_is_named_and_the_rest_is_kept(cutting, chunks, started):
    def kill(event):
        if isinstance(event, ShardsDone):
            started[event.worker].kill()

    with pytest.raises(OralityError, match=r"worker \d: its process was killed by SIGKILL.*memory"):
        work_in_processes(2)(cutting(), chunks(range(8)), kill, never)
    kept = shard_paths(Path(cutting().folder) / "prompts")
    assert 1 <= len(kept) < 8
    assert all(process.poll() is not None for process in started)
    work_in_processes(2)(cutting(), chunks(range(8)), lambda event: None, never)
    work_in_process()(cutting("whole"), chunks(range(8)), lambda event: None, never)
    assert tree(cutting().folder) == tree(cutting("whole").folder)


def test_what_a_worker_raises_is_raised_here(cutting, chunks, started):
    order = cutting(path="no/such/corpus")
    with pytest.raises(
        CorpusError, match=r"worker \d: .*no/such/corpus.*what was finished is kept"
    ):
        work_in_processes(2)(order, chunks(range(4)), lambda event: None, never)
    assert all(process.poll() is not None for process in started)


def test_asked_to_stop_each_finishes_what_it_has_in_hand(cutting, chunks, started):
    made = []
    with pytest.raises(KeyboardInterrupt):
        work_in_processes(2)(
            cutting(),
            chunks(range(12)),
            lambda event: made.append(event) if isinstance(event, ShardsDone) else None,
            lambda: bool(made),
        )
    stored = [path.stem for path in shard_paths(Path(cutting().folder) / "prompts")]
    assert sorted(event.shards[0] for event in made) == stored
    assert 1 <= len(stored) < 12


def test_an_error_here_ends_the_workers_at_once(cutting, chunks, started):
    def refuse(event):
        raise OralityError("the manifest cannot be written")

    began = time.monotonic()
    with pytest.raises(OralityError, match="manifest"):
        work_in_processes(2)(cutting(), chunks(range(4)), refuse, never)
    assert all(process.poll() is not None for process in started)
    assert time.monotonic() - began < 60


def test_workers_do_not_outlive_whoever_gives_the_jobs(cutting, chunks, started):
    """Another run must not find them still writing."""
    order, jobs = cutting(), chunks(range(2))
    read, write = os.pipe()
    boss = os.fork()
    if boss == 0:

        def wait(event):
            os.write(write, f"{started[0].pid}\n".encode())
            time.sleep(60)

        try:
            work_in_processes(1)(order, jobs, wait, never)
        finally:
            os._exit(1)
    os.close(write)
    worker = int(os.read(read, 100))
    os.kill(boss, signal.SIGKILL)
    os.waitpid(boss, 0)
    end = time.monotonic() + 30
    while running(worker) and time.monotonic() < end:
        time.sleep(0.01)
    assert not running(worker)


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("visible", "gpus", "shares"),
    [
        (None, 0, [{"OMP_NUM_THREADS": "2"}] * 3),
        (None, 2, [{"CUDA_VISIBLE_DEVICES": str(n)} for n in (0, 1, 0)]),
        ("4,7", 9, [{"CUDA_VISIBLE_DEVICES": str(n)} for n in (4, 7, 4)]),
        ("", 9, [{"OMP_NUM_THREADS": "2"}] * 3),
    ],
)
def test_devices_are_shared_else_cores(monkeypatch, visible, gpus, shares):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(processes, "_gpus", lambda: gpus)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)))
    assert [processes._share(number, 3) for number in range(3)] == shares


def test_threads_can_wait_for_workers_too(cutting, chunks, started):
    """Signals belong to the main thread; work does not."""
    done = []

    def work():
        work_in_processes(1)(cutting(), chunks([0]), done.append, never)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert [event for event in done if isinstance(event, ShardsDone)]

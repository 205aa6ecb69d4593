"""Workers as processes of this machine, one for each device."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from orality.run.workers.decoding import error_from_message, event_from_message
from orality.run.workers.messages import Emit, Job, Workers, WorkerSpec


def work_in_processes(count: int) -> Workers:
    """Work in `count` processes, which share the machine's GPUs or divide its cores."""

    def work(
        spec: WorkerSpec, jobs: Sequence[Job], emit: Emit, should_stop: Callable[[], bool]
    ) -> None:
        if not jobs:
            return
        with ExitStack() as stack:
            workers = [
                stack.enter_context(_process(spec, number, count))
                for number in range(min(count, len(jobs)))
            ]
            _hand_out(list(jobs), workers, emit, should_stop)

    return work


@dataclass(frozen=True, slots=True)
class _Process:
    number: int
    line: Connection
    process: subprocess.Popen[bytes]

    def send(self, **message: Any) -> None:
        with suppress(OSError):  # that it died is seen where its answer is awaited
            self.line.send_bytes(json.dumps(message).encode())

    def receive(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self.line.recv_bytes()))
        except (EOFError, OSError):
            return {"failed": ["OralityError", f"its process {self._fate()}"]}

    def _fate(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            code = self.process.wait(timeout=5)
            if code < 0:
                name = signal.Signals(-code).name
                return f"was killed by {name}" + (" (out of memory?)" * (name == "SIGKILL"))
            return f"ended with code {code}"
        return "is not responding"


@contextmanager
def _process(spec: WorkerSpec, number: int, count: int) -> Iterator[_Process]:
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "orality.run.workers", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            process_group=0,  # Ctrl-C is for the parent process
            env={**os.environ, **_share(number, count)},
        )
    worker = _Process(number, Connection(ours.detach()), process)
    try:
        worker.send(spec=spec.to_dict(), number=number)
        yield worker
    finally:
        worker.line.close()  # whatever it does now, that ends it
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _share(number: int, count: int) -> dict[str, str]:
    """A worker's part of the machine: a GPU if there are any, else its cores."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = [str(i) for i in range(_gpus())] if visible is None else visible.split(",")
    if any(devices):
        return {"CUDA_VISIBLE_DEVICES": devices[number % len(devices)]}
    threads = max(1, len(os.sched_getaffinity(0)) // count)
    return {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads))}


def _gpus() -> int:
    import torch

    return torch.cuda.device_count()


def _hand_out(
    jobs: list[Job], workers: list[_Process], emit: Emit, should_stop: Callable[[], bool]
) -> None:
    """Give each worker a job when it is free, until all are done or one fails."""
    waiting, failure, stopped = list(reversed(jobs)), None, False
    busy = {}
    for worker in workers:
        worker.send(job=asdict(waiting.pop()))
        busy[worker.line] = worker
    while busy:
        if (should_stop() or failure) and not stopped:
            stopped, waiting = True, []
            for worker in busy.values():
                worker.send(stop=True)
        for line in wait(list(busy), timeout=0.5):
            worker = busy[line]  # type: ignore[index]
            message = worker.receive()
            if "event" in message:
                emit(event_from_message(message["event"], message["fields"]))
                continue
            if "failed" in message:
                failure = failure or (f"worker {worker.number}", *message["failed"])
                del busy[worker.line]
            elif waiting and not failure:
                worker.send(job=asdict(waiting.pop()))
            else:
                del busy[worker.line]
    if failure is not None:
        raise error_from_message(*failure)
    if stopped:
        raise KeyboardInterrupt

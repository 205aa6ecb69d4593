"""The process of one worker: jobs arrive on a socket, and events leave on it."""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import sys
import threading
from dataclasses import asdict
from multiprocessing.connection import Connection
from typing import Any

from orality.errors import OralityError
from orality.run.workers.messages import Event, Job, WorkerSpec
from orality.run.workers.worker import Worker

logger = logging.getLogger(__name__)


def serve(line: Connection) -> None:
    """Take a job, report on it, until the other end is closed."""
    threading.Thread(target=_end_with, args=(line.fileno(),), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process gets it and sends stop
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("orality").setLevel(logging.INFO)

    def send(**message: Any) -> None:
        try:
            line.send_bytes(json.dumps(message).encode())
        except OSError:
            os._exit(1)  # nobody listens: what is in hand is not worth finishing

    def receive() -> dict[str, Any]:
        try:
            return dict(json.loads(line.recv_bytes()))
        except (EOFError, OSError):
            os._exit(1)

    def emit(event: Event) -> None:
        send(event=type(event).__name__, fields=asdict(event))

    try:
        first = receive()
        worker = Worker(WorkerSpec.from_dict(first["spec"]), emit, number=first["number"])
        while True:
            message = receive()
            if "stop" in message:
                return
            worker.do(Job(**message["job"]), line.poll)
            send(done=True)
    except KeyboardInterrupt:
        send(done=True)
    except OralityError as error:
        send(failed=[type(error).__name__, str(error)])
    except Exception as error:
        logger.exception("a worker failed")
        send(failed=["OralityError", f"{type(error).__name__}: {error}"])


def _end_with(line: int) -> None:
    """End this process as soon as the other end of its line is closed.

    The parent process may have been killed; a resumed run must not find two at work on a shard.
    """
    ends = select.poll()
    ends.register(line, getattr(select, "POLLRDHUP", 0))  # POLLHUP is always reported
    ends.poll()
    os._exit(1)


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))

"""The process of one worker: it is given a socket, on which jobs come and events go."""

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
from orality.factory.orders import Event, Job, Order
from orality.factory.worker import Worker

logger = logging.getLogger(__name__)


def serve(line: Connection) -> None:
    """What a worker's process does: take a job, tell of it, until nobody listens."""
    threading.Thread(target=_end_with, args=(line.fileno(),), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever gives the jobs hears it and tells us
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

    def tell(event: Event) -> None:
        send(event=type(event).__name__, fields=asdict(event))

    try:
        first = receive()
        worker = Worker(Order.of_dict(first["order"]), tell, number=first["number"])
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
    """End this process as soon as the other end of its line is closed: whoever gave the jobs may
    have been killed, and the next one must not find two at work on a shard."""
    ends = select.poll()
    ends.register(line, getattr(select, "POLLRDHUP", 0))  # POLLHUP is always told
    ends.poll()
    os._exit(1)


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))

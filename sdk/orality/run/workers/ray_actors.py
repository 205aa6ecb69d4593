"""What runs on a cluster: one actor that oversees a round, and pools of actors for its stages."""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray
from ray.data import ActorPoolStrategy, DataContext

from orality.errors import OralityError, StoreError
from orality.run.workers.messages import Event, Job, WorkerSpec
from orality.run.workers.pools import PoolSize
from orality.run.workers.worker import Worker

logger = logging.getLogger(__name__)

Message = dict[str, Any]
_MAX_ATTEMPTS = 3  # of the same shards: what kills its process this often would do so forever


class Overseer:
    """Leads jobs through the pools of their stages, and keeps messages until it is asked."""

    def __init__(self) -> None:
        self._news: deque[Message] = deque()
        self._begun: Counter[tuple[str, str]] = Counter()
        self._stopped, self._workers = False, 0

    def start(
        self,
        me: Any,
        spec: Message,
        jobs: Sequence[Message],
        pools: Sequence[PoolSize],
        environment: dict[str, str],
    ) -> None:
        """Begin, and return at once; `me`: the handle by which others speak to this actor."""

        def run() -> None:
            try:
                _lead(me, spec, jobs, pools, environment)
                self._news.append({"finished": True})
            except Exception as error:
                first = (str(error).strip() or "no message").splitlines()[0]
                self.fail("the cluster", "OralityError", f"{type(error).__name__}: {first}")
                self._news.append({"finished": True})

        threading.Thread(target=run, daemon=True).start()

    def join(self) -> int:
        """The number of a worker that has just begun to work."""
        self._workers += 1
        return self._workers - 1

    def begin(self, stage: str, shard: str) -> bool:
        """Whether a stage shall be made now; what has killed its worker too often fails."""
        if self._stopped:
            return False
        self._begun[stage, shard] += 1
        if self._begun[stage, shard] > _MAX_ATTEMPTS:
            self.fail(
                f"{stage} of {shard}",
                "OralityError",
                f"its process died {_MAX_ATTEMPTS} times (out of memory?)",
            )
        return not self._stopped

    def tell(self, messages: Sequence[Message]) -> None:
        """Keep what a worker sends."""
        self._news.extend(messages)

    def fail(self, who: str, kind: str, message: str) -> None:
        """Keep the first failure, and stop."""
        self._news.append({"failed": [who, kind, message]})
        self._stopped = True

    def stop(self) -> None:
        """Let the stages in hand be finished, and nothing else be begun."""
        self._stopped = True

    def news(self) -> list[Message]:
        """The messages since this was last asked."""
        return [self._news.popleft() for _ in range(len(self._news))]


def _lead(
    overseer: Any,
    spec: Message,
    jobs: Sequence[Message],
    pools: Sequence[PoolSize],
    environment: dict[str, str],
) -> None:
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.verbose_progress = False
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    rows = [{"job": json.dumps(job)} for job in jobs]
    data = ray.data.from_items(rows, override_num_blocks=len(rows))
    for pool in pools:
        data = data.map_batches(
            Station,
            batch_size=1,
            compute=ActorPoolStrategy(min_size=pool.least, max_size=pool.most),
            num_cpus=pool.cpus,
            num_gpus=pool.gpus,
            fn_constructor_kwargs={
                "overseer": overseer,
                "spec": spec,
                "stage": pool.stage,
                "environment": environment_of(pool, environment),
            },
        )
    for _ in data.iter_batches(batch_size=None):
        pass


def environment_of(pool: PoolSize, passed_on: dict[str, str]) -> dict[str, str]:
    """What an actor's environment is set to: where it has no GPU, it shall see none."""
    return passed_on if pool.gpus else {**passed_on, "CUDA_VISIBLE_DEVICES": ""}


class Station:
    """One actor of a stage's pool: makes that stage of the shards that come by."""

    def __init__(
        self, overseer: Any, spec: Message, stage: str, environment: dict[str, str]
    ) -> None:
        self._overseer, self._spec, self._stage = overseer, WorkerSpec.from_dict(spec), stage
        self._worker: Worker | None = None
        self._sent: list[Any] = []
        os.environ.update(environment)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Make the stage for a batch of one job; the job goes on to the next stage."""
        job = Job(**json.loads(str(batch["job"][0])))
        if ray.get(self._overseer.begin.remote(self._stage, job.shards[0])):
            who = f"{self._stage} of {job.shards[0]} on {socket.gethostname()}"
            try:
                self._make(Job(tuple(job.shards), tuple(job.items)))
            except OralityError as error:
                self._fail(who, type(error).__name__, str(error))
            except Exception as error:
                logger.exception("a worker failed")
                self._fail(who, "OralityError", f"{type(error).__name__}: {error}")
            ray.get(self._sent)  # nothing that was sent is lost when this actor ends
            self._sent.clear()
        return batch

    def _make(self, job: Job) -> None:
        if self._worker is None:
            self._worker = self._start()
        if self._spec.round is None:
            self._worker.do(job, lambda: False)
        else:
            self._worker.make(self._stage, job.shards)

    def _start(self) -> Worker:
        if Path(self._spec.where).is_dir():
            os.chdir(self._spec.where)
        if not Path(self._spec.folder, "manifest.json").is_file():
            raise StoreError(
                f"the run folder {self._spec.folder} is not on this machine; all machines of a "
                "cluster must see it under the same path: give an --out on a file system they share"
            )
        ours = logging.getLogger("orality")
        ours.handlers, ours.propagate = [_Forwarding(self._send)], False
        ours.setLevel(logging.INFO)
        number = ray.get(self._overseer.join.remote())
        return Worker(self._spec, self._emit, number=number)

    def _emit(self, event: Event) -> None:
        self._send({"event": type(event).__name__, "fields": asdict(event)})

    def _send(self, message: Message) -> None:
        self._sent.append(self._overseer.tell.remote([message]))

    def _fail(self, who: str, kind: str, message: str) -> None:
        self._sent.append(self._overseer.fail.remote(who, kind, message))


class _Forwarding(logging.Handler):
    """Sends log records to the process that runs the command."""

    def __init__(self, send: Any) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        self._send({"log": [record.name, record.levelno, record.getMessage()]})

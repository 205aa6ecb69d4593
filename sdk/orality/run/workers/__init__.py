"""A run's stages at work: in this process, in several, or on a cluster, with the same bytes."""

from __future__ import annotations

from orality.run.workers.in_process import work_in_process
from orality.run.workers.interrupt import stop_on_interrupt
from orality.run.workers.ledger import Ledger
from orality.run.workers.messages import (
    ComponentBuilt,
    Event,
    Job,
    RowsDone,
    ShardsDone,
    Workers,
    WorkerSpec,
)
from orality.run.workers.processes import work_in_processes
from orality.run.workers.worker import Worker

__all__ = [
    "ComponentBuilt",
    "Event",
    "Job",
    "Ledger",
    "RowsDone",
    "ShardsDone",
    "Worker",
    "WorkerSpec",
    "Workers",
    "stop_on_interrupt",
    "work_in_process",
    "work_in_processes",
]

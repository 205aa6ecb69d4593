"""A run's stages at work: in this process, in several, or on a cluster, with the same bytes."""

from __future__ import annotations

from orality.factory.here import work_here
from orality.factory.ledger import Ledger
from orality.factory.orders import Advanced, Built, Event, Job, Made, Order, RoundOrder, Workers
from orality.factory.processes import work_in_processes
from orality.factory.stopping import finishing_on_interrupt
from orality.factory.worker import Worker

__all__ = [
    "Advanced",
    "Built",
    "Event",
    "Job",
    "Ledger",
    "Made",
    "Order",
    "RoundOrder",
    "Worker",
    "Workers",
    "finishing_on_interrupt",
    "work_here",
    "work_in_processes",
]

"""Jobs done in this process, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orality.corpus import Utterance
from orality.factory.orders import Job, Order, Tell, Workers
from orality.factory.worker import Worker
from orality.lazy_components import LazyComponents


def work_here(
    components: LazyComponents | None = None, corpus: Sequence[Utterance] | None = None
) -> Workers:
    """Work in this process, with the components and the corpus that it may have already."""

    def work(
        order: Order, jobs: Sequence[Job], tell: Tell, asked_to_stop: Callable[[], bool]
    ) -> None:
        worker = Worker(order, tell, components, corpus)
        for job in jobs:
            worker.do(job, asked_to_stop)

    return work

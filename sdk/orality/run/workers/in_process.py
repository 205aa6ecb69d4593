"""Jobs done in this process, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orality.corpus import Utterance
from orality.run.components import Components
from orality.run.workers.messages import Emit, Job, Workers, WorkerSpec
from orality.run.workers.worker import Worker


def work_in_process(
    components: Components | None = None, corpus: Sequence[Utterance] | None = None
) -> Workers:
    """Work in this process, with the components and the corpus that it may have already."""

    def work(
        spec: WorkerSpec, jobs: Sequence[Job], emit: Emit, should_stop: Callable[[], bool]
    ) -> None:
        worker = Worker(spec, emit, components, corpus)
        for job in jobs:
            worker.do(job, should_stop)

    return work

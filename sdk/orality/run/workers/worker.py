"""A worker: builds a recipe's components and runs the stages of jobs with them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

from orality.corpus import Utterance, corpus_of
from orality.feedback import Chunk, Round, cut_chunk
from orality.feedback.cutting import Cutting
from orality.run.components import Components
from orality.run.stages import open_cutting, open_round
from orality.run.workers.messages import ComponentBuilt, Emit, Job, RowsDone, ShardsDone, WorkerSpec


class Worker:
    """Does the jobs of one spec; components are built when a job first needs them.

    `components` and `corpus`: those that this process has already, if it does.
    """

    def __init__(
        self,
        spec: WorkerSpec,
        emit: Emit,
        components: Components | None = None,
        corpus: Sequence[Utterance] | None = None,
        number: int = 0,
    ) -> None:
        self._spec, self._emit, self._number, self._given = spec, emit, number, corpus
        self.recipe, self.run = spec.recipe, Path(spec.folder)
        self.components = components or Components(
            spec.recipe.resolve(),
            lambda place, weights: emit(ComponentBuilt(place, [asdict(file) for file in weights])),
        )

    def do(self, job: Job, should_stop: Callable[[], bool]) -> None:
        """Make what of a job is missing; KeyboardInterrupt before the next shard of a stage, when
        asked to stop."""
        for stage, shards in self._steps(job):
            if should_stop():
                raise KeyboardInterrupt
            if stage is None:
                self._cut(Chunk(job.shards[0], job.items))
            else:
                self.make(stage, shards)

    def _steps(self, job: Job) -> Iterator[tuple[str | None, tuple[str, ...]]]:
        """Stages in order, None for cutting prompts; only judges are given shards together."""
        if self._spec.round is None:
            yield None, job.shards
            return
        for stage in self.round.stages:
            if stage in self.round.judges:
                yield stage, job.shards
            else:
                yield from ((stage, (shard,)) for shard in job.shards)

    def make(self, stage: str, shards: tuple[str, ...]) -> None:
        """Make shards of one stage, where they are missing."""
        started = time.monotonic()
        made, dollars = self.round.make(stage, shards)
        self._report(stage, shards, made, started, dollars)

    def _cut(self, chunk: Chunk) -> None:
        started = time.monotonic()
        rows = cut_chunk(self._corpus, chunk, self._cutting, self.run / "prompts")
        self._report("prompts", (chunk.shard,), rows, started)

    def _report(
        self, stage: str, shards: tuple[str, ...], rows: int, started: float, dollars: float = 0.0
    ) -> None:
        self._emit(
            ShardsDone(
                stage=stage,
                shards=shards,
                rows=rows,
                seconds=time.monotonic() - started,
                dollars=dollars,
                worker=self._number,
            )
        )

    @cached_property
    def _corpus(self) -> Sequence[Utterance]:
        return corpus_of(self.recipe) if self._given is None else self._given

    @cached_property
    def _cutting(self) -> Cutting:
        return open_cutting(self.components, self.run)

    @cached_property
    def round(self) -> Round:
        """The round of the spec."""
        assert self._spec.round is not None
        return open_round(
            self.components,
            self.run,
            self._spec.round,
            lambda stage, rows: self._emit(RowsDone(stage, rows)),
        )

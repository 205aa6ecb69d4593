"""Progress and costs of a round: shown while it runs, and stored in `metrics.jsonl`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orality.progress import Progress, silent
from orality.run.workers.messages import RowsDone, ShardsDone
from orality.store import append_metrics


class Ledger:
    """The stages of a round: `done` of `totals` records, dollars spent, a line for every shard.

    Lines of `metrics.jsonl`: `time` (UTC), `round`, `stage`, `shards`, `rows`, `done`, `total`,
    `seconds`, `dollars` and `worker`.
    """

    def __init__(
        self,
        run: Path,
        name: str,
        totals: Mapping[str, int],
        done: Mapping[str, int] | None = None,
        progress: Progress = silent,
    ) -> None:
        self._run, self._name, self._progress = run, name, progress
        self._totals, self._done = dict(totals), dict(done or {})
        self._ahead: dict[str, int] = {}
        self._dollars: dict[str, float] = {}
        for stage in self._totals:
            self._show(stage)

    def add(self, event: ShardsDone | RowsDone) -> None:
        """Add what a worker has done."""
        if isinstance(event, RowsDone):
            self._ahead[event.stage] = self._ahead.get(event.stage, 0) + event.rows
        elif event.rows:
            self._write(event)
        self._show(event.stage)

    def _show(self, stage: str) -> None:
        total = self._totals.get(stage)
        if total is None:
            return
        done = min(total, self._done.get(stage, 0) + self._ahead.get(stage, 0))
        dollars = self._dollars.get(stage, 0.0)
        self._progress(f"{self._name}: {stage}", done, total, f"${dollars:.2f}" if dollars else "")

    def _write(self, made: ShardsDone) -> None:
        self._dollars[made.stage] = self._dollars.get(made.stage, 0.0) + made.dollars
        append_metrics(
            self._run,
            round=self._name,
            stage=made.stage,
            shards=list(made.shards),
            rows=made.rows,
            done=self._done.get(made.stage, 0) + self._ahead.get(made.stage, made.rows),
            total=self._totals.get(made.stage),
            seconds=round(made.seconds, 4),
            dollars=round(made.dollars, 6),
            worker=made.worker,
        )

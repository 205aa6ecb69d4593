"""`metrics.jsonl` of a run: a line for every shard, telling how long it took and what it cost."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orality.store.lines import append_line

METRICS = "metrics.jsonl"


@dataclass(frozen=True, slots=True)
class StageCost:
    """What a stage of a round took so far. `seconds`: summed over all workers."""

    round: str
    stage: str
    rows: int
    seconds: float
    dollars: float

    @property
    def rate(self) -> float:
        """Rows per second of one worker."""
        return self.rows / self.seconds if self.seconds > 0 else 0.0


def append_metrics(run: Path, **figures: Any) -> None:
    """Add a line with the time (UTC) and these figures."""
    row = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **figures}
    append_line(run / METRICS, row)


def read_metrics(run: Path) -> Iterator[dict[str, Any]]:
    """The lines of a run, none if there are none; what a kill has torn is left out."""
    path = run / METRICS
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(row, dict) and "stage" in row:
                yield row


def stage_costs(run: Path) -> list[StageCost]:
    """What each stage of each round took, in the order in which they were first heard of."""
    found: dict[tuple[str, str], StageCost] = {}
    for row in read_metrics(run):
        key = (str(row.get("round", "")), str(row["stage"]))
        before = found.get(key, StageCost(*key, rows=0, seconds=0.0, dollars=0.0))
        found[key] = StageCost(
            *key,
            rows=before.rows + int(row.get("rows") or 0),
            seconds=before.seconds + float(row.get("seconds") or 0.0),
            dollars=before.dollars + float(row.get("dollars") or 0.0),
        )
    return list(found.values())

"""What a run has cost: time, speed and money of each stage, where it kept a log of them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

FILE = "metrics.jsonl"


@dataclass(frozen=True, slots=True)
class StageCost:
    """A stage in all sessions of a run. `dollars`: None where nothing is paid for."""

    stage: str
    rows: int
    seconds: float
    dollars: float | None

    @property
    def rows_per_second(self) -> float | None:
        """None where no time passed."""
        return self.rows / self.seconds if self.seconds > 0 else None


def stage_costs(run: Path) -> list[StageCost]:
    """A row for each stage in `metrics.jsonl`, in order of appearance; none without the file.

    Every line adds its `seconds`, `rows` and `dollars`; lines that are torn, or no figures of a
    stage, are passed over.
    """
    found: dict[str, StageCost] = {}
    for row in _rows(run / FILE):
        stage = row["stage"]
        dollars = _number(row.get("dollars"))
        before = found.get(stage) or StageCost(stage, 0, 0.0, None)
        found[stage] = replace(
            before,
            rows=before.rows + int(_number(row.get("rows")) or 0),
            seconds=before.seconds + (_number(row.get("seconds")) or 0.0),
            dollars=before.dollars if dollars is None else (before.dollars or 0.0) + dollars,
        )
    return list(found.values())


def cost_rows(costs: Sequence[StageCost]) -> list[list[str]]:
    """Stage, rows, time, rows per second and dollars in words; the last row sums what adds up."""
    rows = [
        [
            cost.stage,
            f"{cost.rows:,}",
            duration(cost.seconds),
            "–" if cost.rows_per_second is None else f"{cost.rows_per_second:,.1f}",
            "–" if cost.dollars is None else f"{cost.dollars:,.2f}",
        ]
        for cost in costs
    ]
    if len(costs) > 1:
        paid = [cost.dollars for cost in costs if cost.dollars is not None]
        spent = f"{sum(paid):,.2f}" if paid else "–"
        rows.append(["together", "", duration(sum(cost.seconds for cost in costs)), "", spent])
    return rows


def duration(seconds: float) -> str:
    """`4.2 s`, `3 min 05 s`, `2 h 07 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def _number(value: Any) -> float | None:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if plain and math.isfinite(value) and value >= 0 else None


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("stage"), str):
            yield row

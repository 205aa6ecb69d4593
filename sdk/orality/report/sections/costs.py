"""What a run has cost, as its page says it: time, speed and money of each stage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orality.progress import duration
from orality.store import stage_costs


def cost_rows(run: Path) -> list[Sequence[str]]:
    """Round, stage, rows, time, rows per second and dollars in words, by stage; none without a log.

    The last row sums what adds up. Seconds are those of all workers together.
    """
    costs = stage_costs(run)
    rows: list[Sequence[str]] = [
        (
            cost.round,
            cost.stage,
            f"{cost.rows:,}",
            duration(cost.seconds),
            f"{cost.rate:,.1f}" if cost.seconds else "–",
            _dollars(cost.dollars),
        )
        for cost in costs
    ]
    if len(costs) > 1:
        seconds = sum(cost.seconds for cost in costs)
        spent = _dollars(sum(cost.dollars for cost in costs))
        rows.append(("together", "", "", duration(seconds), "", spent))
    return rows


def _dollars(value: float) -> str:
    return f"{value:,.2f}" if value else "–"

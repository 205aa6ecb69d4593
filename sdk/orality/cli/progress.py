"""Showing progress: live bars with an ETA on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from orality.progress import Progress

SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def show_progress(console: Console) -> Iterator[Progress]:
    """A progress callable that draws bars on a terminal and prints lines elsewhere."""
    if not console.is_terminal:
        yield _lines()
        return
    with Bars(
        TextColumn("{task.description:<28}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[note]}"),
        console=console,
    ) as bars:
        tasks: dict[str, TaskID] = {}

        def draw(stage: str, done: int, total: int, note: str = "") -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total, completed=done, note=note)
            bars.update(tasks[stage], completed=done, total=total, note=note)

        yield draw


def _lines() -> Progress:
    started: dict[str, tuple[float, int]] = {}
    printed: dict[str, float] = {}

    def write(stage: str, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        began, first = started.setdefault(stage, (now, done))
        due = now - printed.get(stage, -SECONDS_BETWEEN_LINES) >= SECONDS_BETWEEN_LINES
        if not due and done < total:
            return
        printed[stage] = now
        rate = (done - first) / (now - began) if now > began else 0.0
        left = f", about {(total - done) / rate:.0f} s left" if rate and done < total else ""
        tail = f", {note}" if note else ""
        print(
            f"{stage}: {done}/{total}, {now - began:.0f} s{left}{tail}", file=sys.stderr, flush=True
        )

    return write

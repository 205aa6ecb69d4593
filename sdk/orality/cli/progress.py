"""Showing progress: a live table with rate, ETA and cost on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from orality.progress import Progress, duration
from orality.untrusted.escaping import for_terminal

SECONDS_BETWEEN_LINES = 10.0


@dataclass
class _Pace:
    """How fast a stage goes, from when it was first seen to move."""

    done: int
    total: int
    began: float = field(default_factory=time.monotonic)
    first: int = field(init=False)
    printed: tuple[float, int] = (-SECONDS_BETWEEN_LINES, -1)

    def __post_init__(self) -> None:
        self.first = self.done

    def move(self, done: int, total: int) -> None:
        if done < self.done:  # a later round begins anew
            self.first, self.began = done, time.monotonic()
        elif self.done == self.first and done == self.done:
            self.began = time.monotonic()
        self.done, self.total = done, total

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    @property
    def rate(self) -> float:
        """Items a second; 0 while nothing is known."""
        return (self.done - self.first) / self.seconds if self.seconds > 0 else 0.0

    def __str__(self) -> str:
        if not self.rate:
            return ""
        left = (self.total - self.done) / self.rate
        ahead = f", about {duration(left)} left" if left else ""
        return f"{rate(self.rate)}{ahead}"


def rate(value: float) -> str:
    """Items per second, or per minute where that is below one."""
    return f"{value:.1f}/s" if value >= 1 else f"{value * 60:.1f}/min"


@contextmanager
def show_progress(console: Console) -> Iterator[Progress]:
    """A progress callable that draws bars on a terminal and prints lines elsewhere."""
    if not console.is_terminal:
        yield _lines()
        return
    with Bars(
        TextColumn("{task.description:<24}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}"),
        TextColumn("[dim]{task.fields[note]}"),
        console=console,
    ) as bars:
        tasks: dict[str, tuple[TaskID, _Pace]] = {}

        def draw(stage: str, done: int, total: int, note: str = "") -> None:
            stage, note = escape(for_terminal(stage)), escape(for_terminal(note))
            if stage not in tasks:
                task = bars.add_task(stage, total=total, completed=done, note=note, pace="")
                tasks[stage] = (task, _Pace(done, total))
            task, pace = tasks[stage]
            pace.move(done, total)
            bars.update(task, completed=done, total=total, note=note, pace=str(pace))

        yield draw


def _lines() -> Progress:
    paces: dict[str, _Pace] = {}

    def write(stage: str, done: int, total: int, note: str = "") -> None:
        pace = paces.setdefault(stage, _Pace(done, total))
        pace.move(done, total)
        when, before = pace.printed
        due = time.monotonic() - when >= SECONDS_BETWEEN_LINES
        if done == before or (not due and done < total):
            return
        pace.printed = (time.monotonic(), done)
        parts = [f"{stage}: {done}/{total}", duration(pace.seconds), str(pace), note]
        print(for_terminal(", ".join(part for part in parts if part)), file=sys.stderr, flush=True)

    return write

"""How long work tells what it has done: a plain callable, so that libraries never print."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called as often as the work likes; whoever shows it decides how often to draw."""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """`done` of `total` items of `stage` are finished; `note` is a short live figure."""
        ...


def silent(stage: str, done: int, total: int, note: str = "") -> None:
    """The progress of whoever does not care."""


def duration(seconds: float) -> str:
    """Seconds in words: `42 s`, `12 min`, `3 h 05 min`, `2 d 4 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    if minutes < 36 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(minutes / 60)
    return f"{hours // 24} d {hours % 24} h"

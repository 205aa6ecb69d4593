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

"""What a tracker is: three methods that follow a run while it goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Tracker(Protocol):
    """Follows one part of a run at a time: a round's training, or the evaluation."""

    def start(self, name: str, config: Mapping[str, Any], *, first: int) -> None:
        """Begin or go on with the part `name`; `config` is plain data.

        Steps from `first` on are about to be logged: what a killed run logged of them before is
        to be forgotten, or kept instead of what comes now, but not shown twice.
        """
        ...

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Figures of one step, named like `train/loss`; steps rise, and each comes once."""
        ...

    def finish(self, status: str) -> None:
        """End the part: `finished`, `failed` or `killed`."""
        ...

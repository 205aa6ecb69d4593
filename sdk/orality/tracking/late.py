"""A tracker that is made when the first part begins, and sees no step twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orality.tracking.identity import Identity
from orality.tracking.protocol import Tracker


class LateTracker:
    """What `make` makes of the run's name, once there is something to follow.

    A resumed run repeats some steps exactly. `rewinds`: the tracker forgets them by itself; others
    are spared those that `target` has seen.
    """

    def __init__(
        self, make: Callable[[str], Tracker], identity: Identity, target: str, *, rewinds: bool
    ) -> None:
        self._make, self._identity, self._target = make, identity, target
        self._rewinds = rewinds
        self._tracker: Tracker | None = None
        self._part, self._last = "", -1

    def start(self, name: str, config: Mapping[str, Any], *, first: int) -> None:
        """Begin or go on."""
        self._tracker = self._tracker or self._make(self._identity.group)
        seen = None if self._rewinds else self._identity.mark(self._target, name, "last")
        self._part, self._last = name, -1 if seen is None else int(seen)
        self._tracker.start(name, config, first=max(first, self._last + 1))

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Log a step that is new."""
        if self._tracker is None or step <= self._last:
            return
        if not self._rewinds:  # before the step itself: a kill may lose one, but double none
            self._identity.set_mark(self._target, self._part, "last", step)
            self._last = step
        self._tracker.log(metrics, step)

    def finish(self, status: str) -> None:
        """End the part."""
        if self._tracker is not None:
            self._tracker.finish(status)

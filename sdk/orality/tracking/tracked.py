"""One part of a run while it is followed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from orality.tracking.careful import CarefulTracker
from orality.tracking.protocol import Tracker

Log = Callable[[Mapping[str, float], int], object]


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """A part of a run and who follows it. `before`: figures known ahead of step 1, for step 0."""

    tracker: Tracker
    name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, float] = field(default_factory=dict)

    @contextmanager
    def opened(self, done: int = 0) -> Iterator[Log]:
        """Log from step `done` + 1 on; a tracker that fails is left behind with a warning."""
        tracker = self.tracker
        if not isinstance(tracker, CarefulTracker):
            tracker = CarefulTracker({type(tracker).__name__: tracker})
        first = 0 if self.before and not done else done + 1
        tracker.start(self.name, self.config, first=first)
        try:
            if self.before and first == 0:
                tracker.log(self.before, 0)
            yield tracker.log
        except BaseException as error:
            tracker.finish("killed" if isinstance(error, KeyboardInterrupt) else "failed")
            raise
        tracker.finish("finished")

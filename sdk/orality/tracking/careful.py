"""Several trackers as one, of which none can stop a run."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orality.tracking.protocol import Tracker

logger = logging.getLogger(__name__)

SHORTEST_SECRET = 8  # shorter values would be found in harmless text
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.I)


class CarefulTracker:
    """Passes everything on; a tracker that fails is named in one warning and asked no more."""

    def __init__(self, trackers: Mapping[str, Tracker]) -> None:
        self._trackers = dict(trackers)

    @property
    def names(self) -> Sequence[str]:
        """Those that still follow."""
        return list(self._trackers)

    def start(self, name: str, config: Mapping[str, Any], *, first: int) -> None:
        """Begin the part with each."""
        self._each(lambda tracker: tracker.start(name, config, first=first))

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Log with each."""
        self._each(lambda tracker: tracker.log(metrics, step))

    def finish(self, status: str) -> None:
        """End the part with each."""
        self._each(lambda tracker: tracker.finish(status))

    def _each(self, act: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._trackers.items()):
            try:
                act(tracker)
            except Exception as error:
                del self._trackers[name]
                logger.warning(
                    "%s does not track any more (%s: %s); the run goes on without it",
                    name, type(error).__name__, without_secrets(str(error)),
                )  # fmt: skip


def without_secrets(text: str) -> str:
    """The text with the values of secret environment variables, and passwords in URLs, hidden."""
    for value in secrets_of_environment().values():
        text = text.replace(value, "***")
    return re.sub(r"(?<=://)[^/\s@]+@", "***@", text)


def secrets_of_environment() -> dict[str, str]:
    """Environment variables whose names say that they hold a key, a token or a password."""
    return {
        name: value
        for name, value in os.environ.items()
        if _SECRET.search(name) and len(value) >= SHORTEST_SECRET
    }

"""trackio: a dashboard on this machine (`trackio show`), or in a Space of the Hub."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Any

import trackio


class TrackioTracker:
    """A run of a trackio project for each part; data lie where TRACKIO_DIR says.

    `group`: names the run folder, and is in each part's name so that runs stay apart.
    """

    def __init__(self, *, project: str, group: str, space: str | None) -> None:
        self._project, self._group, self._space = project, group, space
        self._run: Any = None

    def start(self, name: str, config: Mapping[str, Any], *, first: int) -> None:
        """Begin the part, or go on with it."""
        with redirect_stdout(io.StringIO()):  # what it prints is not what orality was asked for
            self._run = trackio.init(
                self._project, name=f"{self._group}/{name}", group=self._group,
                config=dict(config), resume="allow", embed=False, space_id=self._space,
                private=True, auto_log_gpu=False, auto_log_cpu=False,
            )  # fmt: skip

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Queue the figures; they are stored twice a second."""
        self._run.log(dict(metrics), step=step)

    def finish(self, status: str) -> None:
        """Store what is queued; trackio keeps no status."""
        with redirect_stdout(io.StringIO()):
            trackio.finish()

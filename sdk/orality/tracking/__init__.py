"""Following a run while it goes: JSON lines always, and the trackers that people use."""

from __future__ import annotations

from orality.tracking.careful import CarefulTracker
from orality.tracking.jsonl import JsonlTracker, read_steps
from orality.tracking.opening import open_trackers
from orality.tracking.options import TRACKERS, TrackerOptions
from orality.tracking.protocol import Tracker
from orality.tracking.tracked import Log, Tracked

__all__ = [
    "TRACKERS",
    "CarefulTracker",
    "JsonlTracker",
    "Log",
    "Tracked",
    "Tracker",
    "TrackerOptions",
    "open_trackers",
    "read_steps",
]

"""Decodes the events and errors that workers send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orality import errors
from orality.errors import OralityError
from orality.run.workers.messages import ComponentBuilt, Event, RowsDone, ShardsDone

_EVENTS: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (ShardsDone, RowsDone, ComponentBuilt)
}


def event_from_message(kind: str, fields: Mapping[str, Any]) -> Event:
    """The event that a worker sent, by its type's name and its fields."""
    event: Event = _EVENTS[kind](**fields)
    return event


def error_from_message(worker: str, kind: str, message: str) -> OralityError:
    """The error that a worker raised, of its own type where that is one of ours."""
    found = getattr(errors, kind, OralityError)
    if found is errors.CompatibilityError or not issubclass(found, OralityError):
        found = OralityError
    return found(f"{worker}: {message}; what was finished is kept")

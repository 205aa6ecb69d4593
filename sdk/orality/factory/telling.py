"""Events and errors of a worker, remade from the plain values in which they travel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orality import errors
from orality.errors import OralityError
from orality.factory.orders import Advanced, Built, Event, Made

_EVENTS: dict[str, type[Any]] = {kind.__name__: kind for kind in (Made, Advanced, Built)}


def event_told(kind: str, fields: Mapping[str, Any]) -> Event:
    """The event that a worker told, by its type's name and its fields."""
    event: Event = _EVENTS[kind](**fields)
    return event


def told_error(worker: str, kind: str, message: str) -> OralityError:
    """The error that a worker raised, of its own type where that is one of ours."""
    found = getattr(errors, kind, OralityError)
    if found is errors.CompatibilityError or not issubclass(found, OralityError):
        found = OralityError
    return found(f"{worker}: {message}; what was finished is kept")

"""From a recipe's choice to trackers at work."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from orality.errors import CompatibilityError, PluginError
from orality.plugins import is_local_only
from orality.tracking.careful import CarefulTracker
from orality.tracking.identity import Identity
from orality.tracking.jsonl import JsonlTracker
from orality.tracking.late import LateTracker
from orality.tracking.options import (
    MlflowOptions,
    TensorBoardOptions,
    TrackerOptions,
    TrackioOptions,
    WandbOptions,
)
from orality.tracking.protocol import Tracker


def open_trackers(
    chosen: Sequence[TrackerOptions],
    folder: Path,
    *,
    project: str,
    local_only: bool = False,
    further: Mapping[str, Tracker] | None = None,
) -> CarefulTracker:
    """The chosen trackers, the JSONL one and `further` ones as one; nothing is written yet.

    `folder`: for what they keep on this machine. Raises PluginError for a package that is not
    installed, CompatibilityError for a tracker that would send data away where that is forbidden.
    """
    _require_packages(chosen)
    if local_only or is_local_only():
        chosen = _kept_local(chosen)
    identity = Identity(folder, project)
    trackers: dict[str, Tracker] = {"jsonl": JsonlTracker(folder)}
    for options in chosen:
        if options.name != "jsonl":
            trackers[options.name] = _open(options, folder / options.name, project, identity)
    return CarefulTracker(trackers | dict(further or {}))


def _require_packages(chosen: Sequence[TrackerOptions]) -> None:
    missing = [
        options.module
        for options in chosen
        if options.module is not None and importlib.util.find_spec(options.module) is None
    ]
    if missing:
        raise PluginError(
            f"tracking with {' and '.join(missing)} was asked for, which is not installed; "
            f"install it with: pip install 'orality[{','.join(missing)}]'"
        )


def _kept_local(chosen: Sequence[TrackerOptions]) -> list[TrackerOptions]:
    kept = [
        options.model_copy(update={"mode": "offline"})
        if isinstance(options, WandbOptions) and options.mode is None
        else options
        for options in chosen
    ]
    away = [options.name for options in kept if not options.is_local]
    if away:
        raise CompatibilityError(
            [
                f"tracking with {name} sends data to another machine, and local_only or "
                "ORALITY_LOCAL_ONLY forbids that: choose a place on this one"
                for name in away
            ]
        )
    return kept


def _open(options: TrackerOptions, folder: Path, project: str, identity: Identity) -> Tracker:
    where = json.dumps(options.model_dump(mode="json"), sort_keys=True)
    target = f"{options.name}-{hashlib.sha256(where.encode()).hexdigest()[:8]}"

    def make(group: str) -> Tracker:
        adapter: Any = import_module(f"orality.tracking.{options.name}")
        made: Tracker
        if isinstance(options, TensorBoardOptions):
            place = folder if options.folder is None else options.folder / group
            made = adapter.TensorBoardTracker(place)
        elif isinstance(options, TrackioOptions):
            made = adapter.TrackioTracker(
                project=options.project or project, group=group, space=options.space
            )
        elif isinstance(options, WandbOptions):
            made = adapter.WandbTracker(
                folder, project=options.project or project, group=group,
                entity=options.entity, mode=options.mode,
            )  # fmt: skip
        elif isinstance(options, MlflowOptions):
            made = adapter.MlflowTracker(
                folder, experiment=options.experiment or project, group=group,
                uri=options.tracking_uri,
                known=lambda part: identity.mark(target, part, "id"),
                remember=lambda part, run: identity.set_mark(target, part, "id", run),
            )  # fmt: skip
        else:
            made = JsonlTracker(folder)
        return made

    return LateTracker(make, identity, target, rewinds=options.name == "tensorboard")

"""What the adapter sits on, in words that mean something elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orality.errors import SharingError
from orality.sharing.source import without_paths
from orality.weights.catalog import CATALOG
from orality.weights.sources import Hub

_REPOSITORY = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}")


@dataclass(frozen=True, slots=True)
class BaseModel:
    """`hub`: its id on the Hub, or None; `label`: that, or PACKAGE/CHECKPOINT.

    `component`: how orality builds it, such as `orality:twist/tiny`: no id of the Hub, so that
    nobody can answer to it there.
    """

    hub: str | None
    label: str
    component: str
    package: str

    @property
    def for_peft(self) -> str:
        """What adapter_config.json names."""
        return self.hub or self.component


def base_model(manifest: Mapping[str, Any], given: str | None = None) -> BaseModel:
    """The base of a run's adapters; `given` is the id that the user knows it by."""
    slm = (manifest.get("components") or {}).get("slm") or {}
    checkpoint = str(without_paths(slm.get("checkpoint") or slm.get("name") or "unknown"))
    hub = repository_id(given) if given is not None else _hub_id(checkpoint)
    package = str(slm.get("distribution") or "orality")
    short = re.sub(r"[^\w.-]+", "-", checkpoint.removeprefix("hub:")).strip("-.") or "unknown"
    component = f"orality:{slm.get('name', 'unknown')}/{checkpoint}"
    return BaseModel(
        hub=hub, label=hub or f"{package}/{short}", component=component, package=package
    )


def repository_id(text: str) -> str:
    """The text, if it can be the id of a repository; SharingError otherwise."""
    if not _REPOSITORY.fullmatch(text) or ".." in text or "--" in text:
        raise SharingError(f"got {text!r}, wanted the id of a repository: OWNER/NAME")
    return text


def _hub_id(checkpoint: str) -> str | None:
    if checkpoint.startswith("hub:"):
        return checkpoint.removeprefix("hub:").partition("@")[0]
    known = CATALOG.get(checkpoint)
    if known is None:
        return None
    found = [source.repository for source in known.sources if isinstance(source, Hub)]
    return found[0] if found else None

"""A stored run as something to share: one of its systems, and everything it came from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orality.errors import SharingError
from orality.evaluation.results import Results, read_results
from orality.store import read_json, refuse_links
from orality.store.systems import ADOPTION, BASELINES, aligned
from orality.untrusted.addresses import public_address
from orality.untrusted.documents import read_yaml

WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True, slots=True)
class SharedRun:
    """`adapters`: make the system, in order; `stages`: whose pairs it learned from.

    `recipe`: plain data without trackers and without paths of this machine.
    """

    path: Path
    system: str
    adapters: Sequence[Path]
    stages: Sequence[str]
    recipe: Mapping[str, Any]
    manifest: Mapping[str, Any]
    results: Results | None

    @property
    def name(self) -> str:
        """The recipe's."""
        return str(self.recipe.get("name") or "run")

    @property
    def identity(self) -> dict[str, str]:
        """What tells this run and system from all others."""
        return {
            "recipe": self.name,
            "fingerprint": str(self.manifest.get("fingerprint")),
            "started": str(self.manifest.get("started")),
            "system": self.system,
        }


def read_shared_run(run: Path, system: str | None = None) -> SharedRun:
    """Read a run folder; `system` None: the last aligned round.

    Raises SharingError for a folder that is no run or has no such system trained.
    """
    for name in ("manifest.json", "recipe.yaml"):
        if not (run / name).is_file():
            raise SharingError(f"{run} holds no run (no {name}); give the folder of a run")
    refuse_links(run)
    found = _systems(run)
    if not found:
        raise SharingError(f"{run} has no trained adapter yet; run `orality align` to its end")
    chosen = system or next(reversed([name for name in found if name.startswith("aligned")]), None)
    if chosen not in found:
        raise SharingError(
            f"{run} has no system {chosen or 'aligned round 1'!r}; it has {', '.join(found)}"
        )
    recipe = read_yaml(run / "recipe.yaml", SharingError)
    if not isinstance(recipe, dict):
        raise SharingError(f"{run / 'recipe.yaml'} holds no recipe: expected keys and values")
    recipe.pop("tracking", None)
    results = run / "results.json"
    adapters, stages = found[chosen]
    return SharedRun(
        path=run,
        system=chosen,
        adapters=adapters,
        stages=stages,
        recipe=without_paths(recipe),
        manifest=read_json(run / "manifest.json"),
        results=read_results(results) if results.is_file() else None,
    )


def without_paths(value: Any) -> Any:
    """The same settings; of a path of this machine its last part, of an address no user or query.

    `hub:OWNER/NAME@COMMIT`, `OWNER/NAME` and shipped names stay.
    """
    if isinstance(value, Mapping):
        return {key: without_paths(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_paths(inner) for inner in value]
    if not isinstance(value, str):
        return value
    if "://" in value:
        return public_address(value)
    if re.match(r"[/\\~]|\.{1,2}[/\\]|[A-Za-z]:[/\\]", value):
        return re.split(r"[/\\]", value.rstrip("/\\"))[-1]
    return value


def _systems(run: Path) -> dict[str, tuple[list[Path], list[str]]]:
    found: dict[str, tuple[list[Path], list[str]]] = {}
    for name, folder in BASELINES.items():
        adapter = run / folder / "train" / "adapter"
        if (adapter / WEIGHTS).is_file():
            found[name] = [adapter], [folder]
    adapters: list[Path] = []
    stages: list[str] = []
    for number in range(1, len(list(run.glob("round-*"))) + 1):
        name = f"round-{number}"
        adapter = run / name / "train" / "adapter"
        if not (adapter / WEIGHTS).is_file():
            break
        note = run / name / ADOPTION
        if not note.is_file() or read_json(note)["adopted"]:
            stages.append(name)
            adapters.append(adapter)
            found[aligned(number)] = list(adapters), list(stages)
    return found

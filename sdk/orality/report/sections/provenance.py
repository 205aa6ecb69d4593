"""Where a run comes from: its recipe, components, versions, weights and command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orality.report.data.run_data import RunData

_KNOWN = frozenset({"name", "distribution", "version", "checkpoint"})


@dataclass(frozen=True, slots=True)
class Component:
    """One part of the stack; `options`: every other setting of its configuration."""

    kind: str
    name: str
    checkpoint: str
    distribution: str
    options: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Weights:
    """A file that a component was built from; an empty `file` where none is known."""

    kind: str
    file: str
    megabytes: str
    sha256: str
    hashed: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """The section's tables; `settings` is the recipe flattened, `recipe` its text."""

    facts: Sequence[tuple[str, str]]
    components: Sequence[Component]
    weights: Sequence[Weights]
    distributions: Sequence[tuple[str, str]]
    settings: Sequence[tuple[str, str]]
    recipe: str


def provenance(run: RunData) -> Provenance:
    """What the manifest and the recipe say; what they lack is left out."""
    manifest = run.manifest
    facts = [
        ("Command", manifest.get("command")),
        ("Started", manifest.get("started")),
        ("Seed", manifest.get("seed", run.recipe.get("seed"))),
        ("Fingerprint", manifest.get("fingerprint")),
        ("Python", manifest.get("python")),
        ("Platform", manifest.get("platform")),
    ]
    return Provenance(
        facts=[(name, str(value)) for name, value in facts if value is not None],
        components=[
            _component(kind, given)
            for kind, given in (manifest.get("components") or {}).items()
            if isinstance(given, Mapping)
        ],
        weights=[
            row
            for kind, files in (manifest.get("weights") or {}).items()
            for row in _weights(kind, files)
        ],
        distributions=list(_flat(manifest.get("distributions") or {})),
        settings=_settings(run.recipe),
        recipe=run.recipe_text,
    )


def _component(kind: str, given: Mapping[str, Any]) -> Component:
    found = " ".join(str(given[key]) for key in ("distribution", "version") if given.get(key))
    return Component(
        kind=kind,
        name=str(given.get("name", "")),
        checkpoint=str(given.get("checkpoint", "")),
        distribution=found,
        options=[
            pair
            for key, value in given.items()
            if key not in _KNOWN
            for pair in _flat(value, str(key))
        ],
    )


def _weights(kind: str, files: Sequence[Mapping[str, Any]]) -> list[Weights]:
    return [
        Weights(
            kind=kind,
            file=str(given.get("file", "")),
            megabytes=f"{given['bytes'] / 1e6:,.1f}" if "bytes" in given else "",
            sha256=str(given.get("sha256", "")),
            hashed=str(given.get("hashed", "")),
        )
        for given in files or [{}]
    ]


def _settings(recipe: Mapping[str, Any]) -> list[tuple[str, str]]:
    shown = ("corpus", "sampling", "selection", "rounds", "training", "baselines", "evaluation")
    return [pair for key in shown if key in recipe for pair in _flat(recipe[key], key)]


def _flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as (dotted name, value); what is null is left out."""
    if value is None:
        return []
    if isinstance(value, Mapping):
        named = [(str(key), inner) for key, inner in value.items()]
    elif isinstance(value, list):
        named = [(str(number), inner) for number, inner in enumerate(value, start=1)]
    else:
        return [(prefix, str(value))]
    return [
        pair for key, inner in named for pair in _flat(inner, f"{prefix}.{key}" if prefix else key)
    ]

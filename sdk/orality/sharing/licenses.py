"""Under which license data, judge and checkpoints come: as given, as stored, or unknown."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orality.checkpoints import read_json
from orality.errors import CheckpointError, SharingError
from orality.weights.cache import RECEIPT, cache_folder
from orality.weights.catalog import CATALOG

UNKNOWN = "unknown"
_SHIPPED_CORPORA = {"stories": "apache-2.0", "toy": "apache-2.0"}  # data/README.md
_STATED = re.compile(r"^(?:\|\s*licen[sc]e\s*\|\s*|licen[sc]e:\s*)([\w.+-]+)", re.I | re.M)


def licenses_of(
    manifest: Mapping[str, Any], recipe: Mapping[str, Any], given: Mapping[str, str]
) -> dict[str, str]:
    """SPDX ids in lower case, or `unknown`, by place: `model`, `data`, and each component.

    What is stored: the catalog's license, that of a fetched checkpoint's receipt, and what a
    checkpoint's own card states. Raises SharingError for a place or an id that cannot be meant.
    """
    corpus = str((recipe.get("corpus") or {}).get("path"))
    found = {"model": UNKNOWN, "data": _SHIPPED_CORPORA.get(corpus, UNKNOWN)}
    weights = manifest.get("weights") or {}
    for place, component in (manifest.get("components") or {}).items():
        stated = next(_stated(component, weights.get(place) or []), UNKNOWN)
        found[place] = stated.lower()
    for place, text in given.items():
        if place not in found:
            raise SharingError(f"got a license of {place!r}, wanted one of: {', '.join(found)}")
        if not re.fullmatch(r"[\w.+-]{1,60}", text):
            raise SharingError(f"got the license {text!r}, wanted an id such as apache-2.0")
        found[place] = text.lower()
    return found


def _stated(component: Mapping[str, Any], weights: list[Mapping[str, Any]]) -> Iterator[str]:
    checkpoint = str(component.get("checkpoint") or "")
    known = CATALOG.get(checkpoint)
    if known is not None and known.license:
        yield known.license
    for row in weights:
        folder = str(row.get("file", "")).partition("/")[0]
        if not re.fullmatch(r"[\w.-]+", folder) or folder in {".", ".."}:
            continue
        yield from _in_receipt(cache_folder() / "checkpoints" / folder / RECEIPT)
        for package in _packages(str(component.get("distribution") or "")):
            yield from _in_card(package / folder / "README.md")
    if checkpoint:
        yield from _in_card(Path(checkpoint).expanduser() / "README.md")


def _in_receipt(path: Path) -> Iterator[str]:
    try:
        stated = read_json(path).get("license")
    except CheckpointError:
        return
    if isinstance(stated, str) and stated:
        yield stated


def _in_card(path: Path) -> Iterator[str]:
    try:
        found = _STATED.search(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    if found:
        yield found.group(1)


def _packages(distribution: str) -> Iterator[Path]:
    """Where a plugin's own checkpoints lie."""
    try:
        points = importlib.metadata.distribution(distribution).entry_points
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return
    for point in points.select(group="orality"):
        spec = importlib.util.find_spec(point.module.partition(".")[0])
        yield from map(Path, (spec.submodule_search_locations or []) if spec else [])

"""One run: a folder that belongs to one recipe, and to one process at a time."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orality.errors import StoreError
from orality.store.files import atomic_write, drop_unfinished, read_json, write_json
from orality.store.lines import append_line
from orality.store.locks import lock_folder
from orality.store.metrics import METRICS

RECORDED_DISTRIBUTIONS = (
    "orality", "torch", "transformers", "peft", "accelerate", "numpy", "pyarrow", "soundfile",
)  # fmt: skip


class Run:
    """A run folder. Opening it writes `recipe.yaml` and `manifest.json`, or compares them."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def stage(self, round_name: str, stage: str) -> Path:
        """The folder of one stage: `round-1/continuations`."""
        return self.path / round_name / stage

    @property
    def manifest(self) -> dict[str, Any]:
        """What was written when the run began, and the weights of what was built since."""
        manifest: dict[str, Any] = read_json(self.path / "manifest.json")
        return manifest

    def open(self, *, recipe: str, fingerprint: str, details: dict[str, Any]) -> None:
        """Start the run, or continue it; another recipe in the same folder is refused.

        `recipe`: its YAML text; `details`: component names, versions, checkpoints, seed.
        """
        manifest, text = self.path / "manifest.json", self.path / "recipe.yaml"
        drop_unfinished(self.path)
        if manifest.exists():
            found = self.manifest.get("fingerprint")
            if found != fingerprint:
                raise StoreError(
                    f"{self.path} holds a run of another recipe or other components "
                    f"({str(found)[:12]}, asked for {fingerprint[:12]}); nothing was mixed: "
                    "give another --out, or compare with its recipe.yaml"
                )
            if not text.exists():  # a kill came between the first two files
                atomic_write(text, lambda file: file.write(recipe.encode()))
            return
        if not self._is_unused(recipe):
            raise StoreError(
                f"{self.path} is not empty and holds no run; give --out a new or an empty folder"
            )
        write_json(
            manifest,
            {
                "version": 1,
                "fingerprint": fingerprint,
                "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
                "python": platform.python_version(),
                "platform": platform.platform(),
                "cpu_count": os.cpu_count(),
                "distributions": _versions(),
                **details,
            },
        )
        atomic_write(text, lambda file: file.write(recipe.encode()))

    def _is_unused(self, recipe: str) -> bool:
        """Whether the folder holds nothing but what a run that was killed at once leaves there."""
        begun = {".lock", "events.jsonl", METRICS}
        if (self.path / "recipe.yaml").is_file():
            if (self.path / "recipe.yaml").read_bytes() != recipe.encode():
                return False
            begun.add("recipe.yaml")
        return not self.path.exists() or all(item.name in begun for item in self.path.iterdir())

    def note_recipe(self, recipe: str) -> None:
        """Replace `recipe.yaml` by one that differs only in what the fingerprint leaves out."""
        atomic_write(self.path / "recipe.yaml", lambda file: file.write(recipe.encode()))

    def note_weights(self, place: str, files: Sequence[Mapping[str, Any]]) -> None:
        """Write into the manifest what a component was built from: rows with `file`, `sha256`, ...

        StoreError when the run was begun with other weights in that place.
        """
        manifest = self.manifest
        weights = manifest.setdefault("weights", {})
        before = weights.get(place)
        if before and _digests(before) != _digests(files):
            raise StoreError(
                f"{self.path} was begun with other weights of the {place}: then "
                f"{_named(before)}, now {_named(files)}; nothing was mixed: bring those back, or "
                "give another --out"
            )
        if not before and before != list(files):
            weights[place] = list(files)
            write_json(self.path / "manifest.json", manifest)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for this process; a second one gets a StoreError at once."""
        with lock_folder(self.path):
            yield

    def event(self, name: str, **figures: Any) -> None:
        """Append a line to `events.jsonl`: when what finished, with its figures."""
        row = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "event": name, **figures}
        append_line(self.path / "events.jsonl", row)


def _digests(files: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted(row["sha256"] for row in files)


def _named(files: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{row['file']} ({row['sha256'][:12]})" for row in files) or "none"


def _versions() -> dict[str, str]:
    found = {}
    for name in RECORDED_DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found

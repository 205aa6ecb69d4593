"""Where a push goes: a folder, or repositories of the Hub."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from orality.errors import SharingError
from orality.sharing.base import repository_id
from orality.store import explain_os_errors, lock_folder, read_json

PROVENANCE = "provenance.json"
BEGUN = ".push.json"  # there while a push into a folder is under way; then provenance stands for it


@dataclass(frozen=True, slots=True)
class HubTarget:
    """A repository. `kind`: `model` takes the adapter, `dataset` the preference set."""

    repository: str
    kind: Literal["model", "dataset"]

    @property
    def url(self) -> str:
        """Its page."""
        return f"https://huggingface.co/{'datasets/' * (self.kind == 'dataset')}{self.repository}"


def parse_target(text: str) -> HubTarget | Path:
    """`hf:OWNER/NAME`, `hf:datasets/OWNER/NAME`, or a folder."""
    if not text.startswith("hf:"):
        return Path(text)
    name = text.removeprefix("hf:")
    if name.startswith("datasets/"):
        return HubTarget(repository_id(name.removeprefix("datasets/")), "dataset")
    return HubTarget(repository_id(name), "model")


def require_same_run(found: Any, identity: Mapping[str, str], where: str) -> None:
    """SharingError unless what was pushed before is of the same run and system."""
    before = found.get("run") if isinstance(found, Mapping) else None
    if before != dict(identity):
        named = "no push of orality"
        if isinstance(before, Mapping):
            named = (
                f"{before.get('system')} of run {before.get('recipe')} of {before.get('started')}"
            )
        raise SharingError(
            f"{where} is not empty and holds {named}; nothing was overwritten: choose another "
            "place, or give --force"
        )


def check_folder(target: Path, run: Path, identity: Mapping[str, str], *, force: bool) -> None:
    """Raise SharingError when a folder cannot take the push, or may hold what is not to be lost."""
    if target.resolve() == run.resolve() or target.resolve().is_relative_to(run.resolve()):
        raise SharingError(f"{target} is the run itself or inside it; choose a folder elsewhere")
    if target.exists() and not target.is_dir():
        raise SharingError(f"{target} is a file; choose a folder")
    held = {path.name for path in target.iterdir()} if target.is_dir() else set()
    if not held - {".lock", f".{BEGUN}.partial"} or force:
        return
    known = next((target / n for n in (BEGUN, PROVENANCE) if (target / n).is_file()), None)
    require_same_run(None if known is None else read_json(known), identity, str(target))


def put_folder(built: Path, target: Path) -> None:
    """Move what was built into a folder, file by file; what an earlier push left goes.

    Files that no push of orality wrote stay. `provenance.json` comes last; until then `.push.json`
    says whose push it is, so that one that was cut short can be made again.
    """
    with explain_os_errors(target), lock_folder(target):
        files = sorted(path.relative_to(built) for path in built.rglob("*") if path.is_file())
        before = _pushed_before(target)
        if Path(PROVENANCE) in files:
            _put(built / PROVENANCE, target / BEGUN)
        for name in before - set(files):
            (target / name).unlink(missing_ok=True)
        for name in sorted(files, key=lambda path: path == Path(PROVENANCE)):
            _put(built / name, target / name)
        (target / BEGUN).unlink(missing_ok=True)
    (target / ".lock").unlink(missing_ok=True)


def _put(file: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(f".{place.name}.partial")
    try:
        shutil.copyfile(file, partial)
        os.replace(partial, place)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _pushed_before(target: Path) -> set[Path]:
    names: list[Any] = []
    for known in (target / PROVENANCE, target / BEGUN):
        found = read_json(known) if known.is_file() else {}
        listed = found.get("files") if isinstance(found, Mapping) else None
        names += listed if isinstance(listed, list | Mapping) else []
    inside = [Path(name) for name in names if isinstance(name, str)]
    return {name for name in inside if not name.is_absolute() and ".." not in name.parts}

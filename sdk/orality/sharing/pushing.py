"""`orality push`: everything another person needs of a run, in the formats people expect."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from orality.errors import SharingError
from orality.evaluation.provenance import provenance
from orality.plugins import is_local_only
from orality.sharing.adapter import write_adapter
from orality.sharing.base import base_model, repository_id
from orality.sharing.cards import dataset_card, model_card
from orality.sharing.figures import benchmark_ids, eval_results, figures_of
from orality.sharing.hub import upload
from orality.sharing.licenses import licenses_of
from orality.sharing.preferences import PreferenceSet, write_preferences
from orality.sharing.source import SharedRun, read_shared_run, without_paths
from orality.sharing.target import (
    PROVENANCE,
    HubTarget,
    check_folder,
    parse_target,
    put_folder,
)
from orality.store import write_json
from orality.tracking.careful import secrets_of_environment
from orality.weights import file_sha256

PREFERENCES = "preferences"


@dataclass(frozen=True, kw_only=True)
class Sharing:
    """What a run does not know of itself.

    `licenses`: SPDX ids by place (`model`, `data`, `slm`, `judge`, ...). `base_model`, `datasets`,
    `benchmarks` (`NAME=OWNER/NAME#TASK`): repositories of the Hub. `audio`: share the recordings.
    """

    system: str | None = None
    licenses: Mapping[str, str] = field(default_factory=dict)
    base_model: str | None = None
    datasets: Sequence[str] = ()
    benchmarks: Sequence[str] = ()
    audio: bool = False


def push(
    run: str | Path,
    to: str | Path | Sequence[str | Path],
    *,
    sharing: Sharing | None = None,
    public: bool = False,
    force: bool = False,
    dry_run: bool = False,
    api: Any = None,
) -> list[str]:
    """Share a run's adapter and preference set; returns where they went, or would go.

    `to`: a folder (the adapter, and the preference set in its folder `preferences`),
    `hf:OWNER/NAME` (the adapter) or `hf:datasets/OWNER/NAME` (the preference set), or several.
    Repositories are private unless `public`. `dry_run`: everything is made, checked and listed,
    nothing is kept or sent. `force`: also over what is no push of the same run. Raises
    SharingError.
    """
    sharing = sharing or Sharing()
    places = [to] if isinstance(to, str | Path) else list(to)
    targets = [parse_target(str(place)) for place in places]
    shared = read_shared_run(Path(run), sharing.system)
    for target in targets:
        if isinstance(target, Path):
            check_folder(target, shared.path, shared.identity, force=force)
        elif is_local_only() or shared.recipe.get("local_only"):
            raise SharingError(
                f"{target.url} is another machine, and local_only or ORALITY_LOCAL_ONLY forbids "
                "that: push to a folder"
            )
    done = []
    with tempfile.TemporaryDirectory(prefix="orality-push-") as name:
        built = Path(name) / "adapter"
        _build(shared, sharing, targets, built)
        for target in targets:
            part = built
            if isinstance(target, HubTarget) and target.kind == "dataset":
                part = built / PREFERENCES
                if not part.is_dir():
                    raise SharingError(f"{shared.system} of {run} learned from no pairs")
            if dry_run:
                done += [f"{_named(target)}: {item}" for item in _listed(part, target)]
            elif isinstance(target, Path):
                put_folder(part, target)
                done.append(str(target))
            else:
                done.append(_send(part, target, shared, public=public, force=force, api=api))
    return done


def _send(part: Path, target: HubTarget, shared: SharedRun, **options: Any) -> str:
    if target.kind == "model":  # the preference set has a repository of its own, if any
        kept = part.with_name("model")
        kept.mkdir()
        for path in _files(part, target):
            place = kept / path.relative_to(part)
            place.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, place)
        part = kept
    return upload(part, target, shared.identity, **options)


def _build(
    run: SharedRun, sharing: Sharing, targets: Sequence[HubTarget | Path], folder: Path
) -> None:
    base = base_model(run.manifest, sharing.base_model)
    licenses = licenses_of(run.manifest, run.recipe, sharing.licenses)
    figures = figures_of(run.results, run.system)
    benchmarks = benchmark_ids(sharing.benchmarks, figures)
    hub = {target.kind: target for target in targets if isinstance(target, HubTarget)}
    write_adapter(run, base, folder)
    made = write_preferences(run, folder / PREFERENCES, audio=sharing.audio)
    datasets = [repository_id(name) for name in sharing.datasets]
    if "dataset" in hub and made.rows:
        datasets.insert(0, hub["dataset"].repository)
    model = hub.get("model")
    card = model_card(
        run, base, figures, licenses,
        datasets=datasets, benchmarks=benchmarks,
        repository=model.repository if model else None,
        preferences=(datasets[0] if "dataset" in hub else PREFERENCES) if made.rows else None,
    )  # fmt: skip
    (folder / "README.md").write_text(card, encoding="utf-8")
    entries = eval_results(
        figures, run.results, benchmarks,
        date=str(run.manifest.get("started") or ""), url=model.url if model else None,
    )  # fmt: skip
    for name, rows in entries.items():
        path = folder / ".eval_results" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(rows, sort_keys=False, allow_unicode=True), "utf-8")
    if made.rows:
        dataset = hub.get("dataset")
        text = dataset_card(
            run, made, licenses,
            repository=dataset.repository if dataset else None,
            model=model.repository if model else None,
        )  # fmt: skip
        (folder / PREFERENCES / "README.md").write_text(text, encoding="utf-8")
        _write_provenance(run, licenses, folder / PREFERENCES, made)
    _write_provenance(run, licenses, folder, made)
    _refuse_secrets(folder)


def _write_provenance(
    run: SharedRun, licenses: Mapping[str, str], folder: Path, made: PreferenceSet
) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = {
        key: run.manifest[key]
        for key in ("fingerprint", "started", "seed", "python", "distributions", "weights")
        if key in run.manifest
    }
    components = without_paths(run.manifest.get("components") or {})
    write_json(
        folder / PROVENANCE,
        {
            "made_by": f"orality {provenance()['orality']}",
            "run": run.identity,
            "manifest": {**manifest, "components": components},
            "recipe": run.recipe,
            "licenses": dict(licenses),
            "pairs": dict(made.rows),
            "files": {path.relative_to(folder).as_posix(): file_sha256(path) for path in files},
        },
    )


def _refuse_secrets(folder: Path) -> None:
    """A last look at what is to be read by others."""
    secrets = {name: value.encode() for name, value in secrets_of_environment().items()}
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".md", ".yaml", ".json"}:
            text = path.read_bytes()
            found = [name for name, value in secrets.items() if value in text]
            if found:
                raise SharingError(
                    f"{path.relative_to(folder)} would hold the value of {', '.join(found)}; "
                    "nothing was shared: take it out of the recipe"
                )


def _files(folder: Path, target: HubTarget | Path) -> list[Path]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if isinstance(target, HubTarget) and target.kind == "model":
        return [path for path in files if path.relative_to(folder).parts[0] != PREFERENCES]
    return files


def _listed(folder: Path, target: HubTarget | Path) -> list[str]:
    return [
        f"{path.relative_to(folder).as_posix()} ({path.stat().st_size:,} bytes)"
        for path in _files(folder, target)
    ]


def _named(target: HubTarget | Path) -> str:
    return target.url if isinstance(target, HubTarget) else str(target)

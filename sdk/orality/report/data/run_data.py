"""A run folder as typed records: whatever it holds so far."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orality.errors import StoreError
from orality.evaluation.results import Results, read_results
from orality.report.sections.thresholds import Thresholds, thresholds_of
from orality.store import read_json, read_shard, refuse_links, shard_paths
from orality.store.systems import ADOPTION
from orality.untrusted.documents import load_yaml, read_text

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Prompt:
    """Speech to continue. `text`: what the prompt says; `truth`: how the recording goes on."""

    id: str
    split: str
    text: str
    truth: str
    audio: Path | None
    skipped: str | None


@dataclass(frozen=True, slots=True)
class Continuation:
    """A continuation as the judge saw it; None for what was not (yet) made.

    `mark`: `chosen`, `rejected`, or empty. `system`: who spoke it, in an evaluation.
    """

    id: str
    prompt_id: str
    audio: Path | None
    text: str | None
    auto_bleu: float | None
    score: float | None
    perplexity: float | None
    rationale: str
    mark: str = ""
    system: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """A round or a baseline. `counts`: stored records by stage; `pairs`: number by split.

    `pairing`: how many prompts have a pair; `adoption`: whether the policy was kept, and why, where
    that was decided on the dev prompts; `warnings`: of its training.
    """

    name: str
    title: str
    thresholds: Thresholds
    continuations: Sequence[Continuation]
    counts: dict[str, int]
    pairs: dict[str, int]
    metrics: Sequence[Record]
    trained: bool
    pairing: int = 0
    adoption: Record | None = None
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class RunData:
    """Everything a page shows; `samples` are the continuations of the evaluation."""

    path: Path
    recipe: Record
    recipe_text: str
    manifest: Record
    prompts: dict[str, Prompt]
    rounds: Sequence[Stage]
    baselines: Sequence[Stage]
    samples: Sequence[Continuation]
    results: Results | None

    @property
    def spoken(self) -> dict[str, list[Continuation]]:
        """The evaluation's continuations by system, in the order of the results."""
        known = [system.name for system in self.results.systems] if self.results else []
        found: dict[str, list[Continuation]] = {}
        for item in self.samples:
            found.setdefault(item.system, []).append(item)
        order = [name for name in known if name in found]
        return {name: found[name] for name in [*order, *sorted(found.keys() - set(known))]}


def read_run(run: Path) -> RunData:
    """Read a run folder; StoreError if it is none, or if a file in it is damaged."""
    if not (run / "manifest.json").is_file():
        raise StoreError(f"{run} holds no run (no manifest.json); give the folder of a run")
    refuse_links(run)
    text, recipe = _recipe(run / "recipe.yaml")
    prompts = {row["id"]: _prompt(run, row) for row in _prompt_rows(run)}
    return RunData(
        path=run,
        recipe=recipe,
        recipe_text=text,
        manifest=read_json(run / "manifest.json"),
        prompts=prompts,
        rounds=_rounds(run, recipe),
        baselines=[
            _stage(run, folder.name, folder.name.removeprefix("baseline-"), Thresholds())
            for folder in sorted(run.glob("baseline-*"))
        ],
        samples=list(_samples(run)),
        results=read_results(run / "results.json") if (run / "results.json").is_file() else None,
    )


def _recipe(path: Path) -> tuple[str, Record]:
    text = read_text(path, StoreError)
    data = load_yaml(text, path, StoreError)
    if not isinstance(data, dict):
        raise StoreError(f"{path} holds no recipe: expected keys and values")
    sections = ("selection", "evaluation", "corpus", "sampling", "training", "baselines")
    for section, kind in {"rounds": list, **dict.fromkeys(sections, dict)}.items():
        if not isinstance(data.get(section, kind()), kind):
            raise StoreError(f"{path}: {section} is {data[section]!r}, wanted a {kind.__name__}")
    return text, data


def _rounds(run: Path, recipe: Record) -> list[Stage]:
    planned = recipe.get("rounds") or []
    found = [int(path.name[6:]) for path in run.glob("round-*") if path.name[6:].isdecimal()]
    stages = []
    for number in range(1, max([len(planned), *found], default=0) + 1):
        given = planned[number - 1] if number <= len(planned) else {}
        name = f"round-{number}"
        thresholds = thresholds_of(run / name / "pairs", given, recipe.get("selection") or {})
        stages.append(_stage(run, name, f"Round {number}", thresholds))
    return stages


def _stage(run: Path, name: str, title: str, thresholds: Thresholds) -> Stage:
    folder = run / name
    drawn = list(stored_rows(folder / "continuations", "id", "prompt_id"))
    speech = {row["id"]: row for row in stored_rows(folder / "speech", "id", "audio")}
    texts = {
        row["id"]: row for row in stored_rows(folder / "transcripts", "id", "text", "auto_bleu")
    }
    verdicts = {
        row["id"]: row
        for row in stored_rows(folder / "verdicts", "id", "score", "rationale", "metrics")
    }
    columns = ("id", "prompt_id", "split", "chosen_id", "rejected_id")
    pairs = list(stored_rows(folder / "pairs", *columns))
    marks = _marks(pairs)
    merged = [
        {**speech.get(row["id"], {}), **texts.get(row["id"], {}), **verdicts.get(row["id"], {})}
        | row
        for row in drawn
    ]
    train = folder / "train" if (folder / "train").is_dir() else folder
    adapters = (train / "adapter", folder / "adapter")
    splits = [row.get("split") or "train" for row in pairs]
    return Stage(
        name=name,
        title=title,
        thresholds=thresholds,
        continuations=[_continuation(run, row, mark=marks.get(row["id"], "")) for row in merged],
        pairing=len({row.get("prompt_id") or row["id"] for row in pairs}),
        adoption=read_json(folder / ADOPTION) if (folder / ADOPTION).is_file() else None,
        warnings=_warnings(train / "result.json"),
        counts={
            "continuations": len(drawn), "speech": len(speech), "transcripts": len(texts),
            "verdicts": len(verdicts),
        },
        pairs={split: splits.count(split) for split in sorted(set(splits), reverse=True)},
        metrics=list(_metrics(train / "metrics.jsonl")),
        trained=any((path / "adapter_model.safetensors").is_file() for path in adapters),
    )  # fmt: skip


def _marks(pairs: Sequence[Record]) -> dict[str, str]:
    """The side on which each continuation stands; in several pairs, the more frequent one."""
    lead = Counter(row["chosen_id"] for row in pairs)
    lead.subtract(row["rejected_id"] for row in pairs)
    return {name: "chosen" if ahead > 0 else "rejected" for name, ahead in lead.items() if ahead}


def _warnings(result: Path) -> list[str]:
    return list(read_json(result).get("warnings", [])) if result.is_file() else []


def _samples(run: Path) -> Iterator[Continuation]:
    names = (
        "id", "prompt_id", "audio", "text", "auto_bleu", "score", "perplexity", "rationale",
    )  # fmt: skip
    for folder in sorted((run / "evaluation").glob("*/samples")):
        for row in stored_rows(folder, *names):
            # stored relative to the evaluation's folder; older runs name it from the run's
            audio = row.get("audio")
            inside = audio is not None and (run / "evaluation" / audio).is_file()
            base = run / "evaluation" if inside else run
            yield _continuation(base, row, system=folder.parent.name)


def _prompt_rows(run: Path) -> Iterator[Record]:
    names = (
        "id", "split", "prompt_text", "text", "continuation_text", "prompt_audio", "skipped",
    )  # fmt: skip
    for folder in (run / "prompts", *sorted(run.glob("round-*/prompts"))):
        yield from stored_rows(folder, *names)


def _prompt(run: Path, row: Record) -> Prompt:
    return Prompt(
        id=row["id"],
        split=row.get("split") or "train",
        text=row.get("prompt_text") or "",
        truth=row.get("continuation_text") or "",
        audio=_inside(run, row.get("prompt_audio")),
        skipped=row.get("skipped"),
    )


def _continuation(base: Path, row: Record, *, mark: str = "", system: str = "") -> Continuation:
    perplexity = row.get("perplexity")
    if perplexity is None and row.get("metrics"):
        perplexity = json.loads(row["metrics"]).get("perplexity")
    return Continuation(
        id=row["id"],
        prompt_id=row["prompt_id"],
        audio=_inside(base, row.get("audio")),
        text=row.get("text"),
        auto_bleu=row.get("auto_bleu"),
        score=row.get("score"),
        perplexity=perplexity,
        rationale=row.get("rationale") or "",
        mark=mark,
        system=system,
    )


def _inside(base: Path, name: str | None) -> Path | None:
    """A stored relative path; one that leaves the run's folder is not followed."""
    if not name or Path(name).is_absolute() or ".." in Path(name).parts:
        return None
    return base / name


def stored_rows(folder: Path, *names: str) -> Iterator[Record]:
    """Records with those of the named columns that the shards have, one by one."""
    for path in shard_paths(folder):
        yield from read_shard(path, list(names))


def _metrics(path: Path) -> Iterator[Record]:
    """Rows with a step; a torn last line, as a killed run leaves it, is not one."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            yield row

"""The units that a run has stored: how recordings go on, and how each model goes on."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path

from orality.report.data.run_data import stored_rows
from orality.report.sections.listening import spread

Units = dict[str, list[int]]  # by prompt
GOLDEN = "golden"
MOST_PROMPTS = 400
MIN_UNITS = 20  # a shorter stretch says little about how units follow each other


@dataclass(frozen=True, slots=True)
class Stretch:
    """How a system (`golden`: the recording) goes on from a prompt, and the prompt's own units."""

    system: str
    prompt: str
    units: list[int]
    before: list[int]


def stretches(run: Path) -> list[Stretch]:
    """Continuations of prompts that all systems continued; none where units are not stored.

    Those of a prompt are cut to the shortest of them, so that length is no cue; a prompt of which
    less than `MIN_UNITS` would be left is passed over.
    """
    sources = _sources(run)
    shared = _spread_over_all(run, sources)
    spoken = {name: synthetic_units(folder, shared) for name, folder in sources.items()}
    heard, truth = golden_units(run, shared)
    both = [prompt for prompt in sorted(truth) if all(prompt in found for found in spoken.values())]
    cut = []
    for prompt in both:
        said = [(name, units) for name, found in spoken.items() for units in found[prompt]]
        length = min(len(truth[prompt]), *(len(units) for _, units in said))
        if length >= MIN_UNITS:
            cut += [
                Stretch(name, prompt, units[:length], heard[prompt])
                for name, units in [(GOLDEN, truth[prompt]), *said]
            ]
    return cut


def golden_units(run: Path, wanted: Container[str]) -> tuple[Units, Units]:
    """The units of prompts, and those of each recording after its prompt, by prompt.

    A recording and its prompt were encoded each by itself, so the cut may lie a unit or two off.
    """
    heard, after = {}, {}
    for row in stored_rows(run / "prompts", "id", "units", "utterance_units"):
        before, whole = row.get("units") or [], row.get("utterance_units") or []
        if row["id"] in wanted and len(whole) > len(before):
            heard[row["id"]], after[row["id"]] = before, whole[len(before) :]
    return heard, after


def synthetic_units(folder: Path, wanted: Container[str]) -> dict[str, list[list[int]]]:
    """The units of everything that was said after the wanted prompts, by prompt."""
    spoken: dict[str, list[list[int]]] = {}
    for row in stored_rows(folder, "prompt_id", "units"):
        if row["prompt_id"] in wanted and row.get("units"):
            spoken.setdefault(row["prompt_id"], []).append(row["units"])
    return spoken


def _sources(run: Path) -> dict[str, Path]:
    """Where each system's continuations lie: what was evaluated, before that the rounds."""
    evaluated = sorted((run / "evaluation").glob("*/samples"))
    if evaluated:
        return {folder.parent.name: folder for folder in evaluated}
    return {
        f"sampled in {folder.parent.name.replace('-', ' ')}": folder
        for folder in sorted(run.glob("round-*/continuations"))
    }


def _spread_over_all(run: Path, sources: Mapping[str, Path]) -> set[str]:
    """Prompts that are usable and continued by all, at most `MOST_PROMPTS`; by their ids alone."""
    usable = {
        row["id"]
        for row in stored_rows(run / "prompts", "id", "skipped")
        if row.get("skipped") is None
    }
    for folder in sources.values():
        usable &= {row["prompt_id"] for row in stored_rows(folder, "prompt_id")}
    return set(spread(sorted(usable), MOST_PROMPTS)) if sources else set()

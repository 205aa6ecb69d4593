"""The units that a run has stored: how recordings go on, and how each model goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orality.report.listening import spread
from orality.report.run_data import stored_rows

Spoken = dict[str, list[list[int]]]  # by prompt
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
    truth = golden_units(run)
    spoken = synthetic_units(run, truth, most=MOST_PROMPTS)
    shared = set.intersection(*(set(found) for found in spoken.values())) if spoken else set()
    heard = {
        row["id"]: row.get("units") or []
        for row in stored_rows(run / "prompts", "id", "units")
        if row["id"] in shared
    }
    cut = []
    for prompt in sorted(shared):
        said = [(name, units) for name, found in spoken.items() for units in found[prompt]]
        length = min(len(truth[prompt]), *(len(units) for _, units in said))
        if length >= MIN_UNITS:
            cut += [
                Stretch(name, prompt, units[:length], heard[prompt])
                for name, units in [(GOLDEN, truth[prompt]), *said]
            ]
    return cut


def golden_units(run: Path) -> dict[str, list[int]]:
    """The units of each recording after its prompt, by prompt.

    A recording and its prompt were encoded each by itself, so the cut may lie a unit or two off.
    """
    found = {}
    for row in stored_rows(run / "prompts", "id", "units", "utterance_units", "skipped"):
        whole, heard = row.get("utterance_units") or [], row.get("units") or []
        if row.get("skipped") is None and len(whole) > len(heard):
            found[row["id"]] = whole[len(heard) :]
    return found


def synthetic_units(run: Path, known: Mapping[str, object], *, most: int) -> dict[str, Spoken]:
    """Units of what was said after at most `most` of the prompts in `known`, by who said it.

    What was evaluated counts; before that, the samples of the rounds.
    """
    sources = {
        folder.parent.name: folder for folder in sorted((run / "evaluation").glob("*/samples"))
    } or {
        f"sampled in {folder.parent.name.replace('-', ' ')}": folder
        for folder in sorted(run.glob("round-*/continuations"))
    }
    found = {}
    for name, folder in sources.items():
        continued = {row["prompt_id"] for row in stored_rows(folder, "prompt_id")}
        wanted = set(spread(sorted(continued & known.keys()), most))
        spoken: Spoken = {}
        for row in stored_rows(folder, "prompt_id", "units"):
            if row["prompt_id"] in wanted and row.get("units"):
                spoken.setdefault(row["prompt_id"], []).append(row["units"])
        if spoken:
            found[name] = spoken
    return found

"""The units that a run has stored: how recordings go on, and how each model goes on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orality.report.listening import spread
from orality.report.run_data import stored_rows

Spoken = dict[str, list[list[int]]]  # by prompt


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

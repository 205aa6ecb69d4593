"""The page: one HTML file with its style, script, figures and speech inside."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from orality.report.data.run_data import RunData
from orality.report.figures.curriculum_tracks import curriculum_systems, tracks_of
from orality.report.figures.distributions import repetition, system_scores, true_repetition
from orality.report.figures.draw import Figure
from orality.report.figures.drawn_lines import outlines, track_figure
from orality.report.figures.scale import shared_frame
from orality.report.sections.costs import cost_rows
from orality.report.sections.examples import Extremes, extremes
from orality.report.sections.frontier import frontier_view
from orality.report.sections.golden import golden_view
from orality.report.sections.listening import Listening, of_evaluation, of_rounds
from orality.report.sections.provenance import provenance
from orality.report.sections.results import results_view
from orality.report.sections.rounds import round_view
from orality.report.sections.yield_table import run_yields
from orality.report.speech_gap.golden_gap import GoldenGap
from orality.store import atomic_write

AUDIO_BYTES = 24_000_000  # of embedded speech, so that the file stays below about 25 MB
EXAMPLES = 3  # of either end


def write_page(
    run: RunData, gap: GoldenGap | None, *, max_prompts: int, audio_bytes: int = AUDIO_BYTES
) -> Path:
    """Write `report.html` into the run's folder and return its path."""
    data = render(run, gap, max_prompts=max_prompts, audio_bytes=audio_bytes).encode()
    path = run.path / "report.html"
    atomic_write(path, lambda file: file.write(data))
    return path


def render(
    run: RunData, gap: GoldenGap | None, *, max_prompts: int, audio_bytes: int = AUDIO_BYTES
) -> str:
    """The page's HTML. Of `audio_bytes`, examples take up to a quarter, or are left out; the
    evaluation up to half of what is left, rounds the rest.

    Whatever comes from the run is escaped; style and script run by their hashes alone.
    """
    ends = _examples(run)
    if sum(found.size for found in ends.values()) > audio_bytes // 4:
        ends = {}
    left = audio_bytes - sum(found.size for found in ends.values())
    evaluation = of_evaluation(run, limit=max_prompts, size=left // 2)
    rounds = of_rounds(run, limit=max_prompts, size=left - evaluation.size)
    usable = [item for item in run.prompts.values() if item.skipped is None]
    style, script = _asset("style.css"), _asset("script.js")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("orality.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    results = results_view(run.results) if run.results else None
    yields = run_yields(run)
    spoken = list(run.spoken)
    last = [name for name in curriculum_systems(run.results) if name in spoken][-1:]
    return environment.get_template("report.html.j2").render(
        policy=content_security_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        name=str(run.recipe.get("name") or run.path.name),
        description=str(run.recipe.get("description") or ""),
        started=str(run.manifest.get("started") or ""),
        summary=_summary(run, len(usable)),
        results=results,
        frontier=frontier_view(run.results.frontier)
        if run.results and run.results.frontier
        else None,
        curriculum=[track_figure(track) for track in tracks_of(run)],
        held_out=_held_out(run),
        yields=[row for row in yields if row.used],
        **_rounds(run, ends),
        golden=golden_view(gap) if gap else None,
        system_examples=[found for name, found in ends.items() if name in spoken],
        system_choices=[(name, name) for name in spoken],
        baseline=results.baseline if results and results.baseline in spoken else "",
        last=last[0] if last and results and last[0] != results.baseline else "",
        evaluation=evaluation,
        listening=rounds,
        splits=[_splits(evaluation), _splits(rounds)],
        titles={stage.name: stage.title for stage in run.rounds},
        omissions=[_omitted(evaluation), _omitted(rounds)],
        sound_megabytes=f"{(audio_bytes - left + evaluation.size + rounds.size) / 1e6:.1f}",
        costs=cost_rows(run.path),
        provenance=provenance(run),
        skipped=[item for item in run.prompts.values() if item.skipped is not None],
    )


def content_security_policy(style: str, script: str) -> str:
    """Nothing may be loaded or run but this style, this script, and sound inside the page."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "media-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _asset(name: str) -> str:
    return (files("orality.report") / "templates" / name).read_text(encoding="utf-8")


def _rounds(run: RunData, ends: dict[str, Extremes]) -> dict[str, Any]:
    prompts = sum(item.skipped is None and item.split != "test" for item in run.prompts.values())
    frame, yields = shared_frame(run.rounds), run_yields(run)
    views = []
    for stage in run.rounds:
        truth = true_repetition(run, {item.prompt_id for item in stage.continuations})
        others = [row for row in yields if row.round == stage.title]
        views.append(round_view(stage, frame, prompts, truth, others, ends.get(stage.name)))
    return {
        "rounds": views,
        "baselines": [round_view(stage, None, prompts) for stage in run.baselines],
    }


def _held_out(run: RunData) -> list[Figure]:
    found = []
    scores, repeats = system_scores(run), repetition(run)
    if scores is not None:
        found.append(outlines("Judge’s score", scores, scores.panels[0]))
    panels = [] if repeats is None else [p for p in repeats.panels if p.title == "Held-out prompts"]
    return found + [outlines("Auto-BLEU", repeats, panel) for panel in panels if repeats]


def _examples(run: RunData) -> dict[str, Extremes]:
    """By round, and by system for the first and the last of the evaluation."""
    lists = {stage.name: (stage.title, stage.continuations) for stage in run.rounds}
    spoken = run.spoken
    for name in dict.fromkeys([*list(spoken)[:1], *list(spoken)[-1:]]):
        lists[name] = (name, spoken[name])
    found = {
        key: extremes(run, title, items, count=EXAMPLES) for key, (title, items) in lists.items()
    }
    return {key: item for key, item in found.items() if item is not None}


def _splits(listening: Listening) -> Sequence[str]:
    return sorted({entry.prompt.split for entry in listening.entries if entry.prompt.split})


def _summary(run: RunData, prompts: int) -> list[tuple[str, str]]:
    drawn = sum(len(stage.continuations) for stage in run.rounds)
    pairs = sum(sum(stage.pairs.values()) for stage in run.rounds)
    done = sum(stage.trained for stage in run.rounds)
    planned = len(run.rounds)
    return [
        (f"{done}" if done == planned else f"{done} of {planned}", _plural(planned, "round")),
        (f"{prompts:,}", _plural(prompts, "prompt")),
        (f"{drawn:,}", _plural(drawn, "continuation")),
        (f"{pairs:,}", _plural(pairs, "preference pair")),
    ]


def _plural(count: int, word: str) -> str:
    return word if count == 1 else word + "s"


def _omitted(listening: Listening) -> str:
    shown, total = len(listening.entries), listening.total
    if shown == total:
        return f"All {total:,} {_plural(total, 'prompt')}."
    text = f"{shown:,} of {total:,} prompts, spread evenly over the set without regard to scores."
    if listening.too_large:
        text += f" {listening.too_large:,} more would have made this file too large."
    return text + " The run folder holds all of them."

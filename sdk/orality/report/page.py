"""The page: one HTML file with its style, script, figures and speech inside."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from pathlib import Path

import jinja2
from markupsafe import Markup

from orality.report.listening import Listening, of_evaluation, of_rounds
from orality.report.provenance import provenance
from orality.report.results_view import results_view
from orality.report.rounds_view import round_view, shared_frame
from orality.report.run_data import RunData, read_run
from orality.store import atomic_write

AUDIO_BYTES = 24_000_000  # of embedded speech, so that the file stays below about 25 MB


def write_page(run: Path, *, max_prompts: int) -> Path:
    """Write `run`/report.html and return its path."""
    text = render(read_run(run), max_prompts=max_prompts)
    path = run / "report.html"
    data = text.encode()
    atomic_write(path, lambda file: file.write(data))
    return path


def render(run: RunData, *, max_prompts: int, audio_bytes: int = AUDIO_BYTES) -> str:
    """The page's HTML. The evaluation's speech gets up to half of `audio_bytes`, rounds the rest.

    Whatever comes from the run is escaped; style and script run by their hashes alone.
    """
    evaluation = of_evaluation(run, limit=max_prompts, size=audio_bytes // 2)
    rounds = of_rounds(run, limit=max_prompts, size=audio_bytes - evaluation.size)
    usable = [item for item in run.prompts.values() if item.skipped is None]
    aligned = [item for item in usable if item.split != "test"]
    frame = shared_frame(run.rounds)
    style, script = _asset("style.css"), _asset("script.js")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("orality.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        policy=content_security_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        name=str(run.recipe.get("name") or run.path.name),
        description=str(run.recipe.get("description") or ""),
        started=str(run.manifest.get("started") or ""),
        summary=_summary(run, len(usable)),
        results=results_view(run.results) if run.results else None,
        rounds=[round_view(stage, frame, len(aligned)) for stage in run.rounds],
        baselines=[round_view(stage, None, len(aligned)) for stage in run.baselines],
        evaluation=evaluation,
        listening=rounds,
        titles={stage.name: stage.title for stage in run.rounds},
        omissions=[_omitted(evaluation), _omitted(rounds)],
        provenance=provenance(run),
        skipped=[item for item in run.prompts.values() if item.skipped is not None],
    )


def content_security_policy(style: str, script: str) -> str:
    """Nothing may be loaded or run but this style, this script, and sound inside the page."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "media-src data:; img-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _asset(name: str) -> str:
    return (files("orality.report") / "templates" / name).read_text(encoding="utf-8")


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

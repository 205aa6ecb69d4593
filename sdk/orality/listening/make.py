"""Make a listening test from a run, and analyze its answers: the two commands."""

from __future__ import annotations

import random
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from orality.errors import EvaluationError
from orality.evaluation.results import write_items, write_results
from orality.listening.analysis import Analysis, analyze_answers
from orality.listening.design import Design, Kind, design_test, random_name
from orality.listening.exports import (
    Delivery,
    write_mturk,
    write_page,
    write_prolific,
    write_webmushra,
)
from orality.listening.key import FILE, Key, key_of, read_key, write_key
from orality.listening.page import SCALE_NAME
from orality.listening.records import opinion_items, opinion_results
from orality.listening.responses import read_responses
from orality.listening.samples import Sample, choose_samples, samples_of_folder, samples_of_run
from orality.listening.sounds import clips_of
from orality.listening.summary import write_summary
from orality.report.data.run_data import read_run

Export = Literal["page", "mturk", "prolific", "webmushra"]
_KEEP = f"""{FILE} says what the random names in the test stand for: keep it, and give it to nobody
who rates. The other folders hold what raters get.
"""


def make_listening_test(
    run: Path | Sequence[Sample],
    out: Path,
    *,
    kind: Kind = "mmos",
    systems: Sequence[str] | None = None,
    pairs: Sequence[tuple[str, str]] | None = None,
    also: Mapping[str, Path] | None = None,
    prompts: int | None = 100,
    per_set: int | None = None,
    checks: int | None = None,
    exports: Sequence[Export] = ("page",),
    embed: bool = True,
    seed: int | None = None,
    completion_code: str | None = None,
    submit_url: str | None = None,
    audio_url: str = "",
    study_url: str = "https://example.org/index.html",
    raters: int = 10,
) -> Key:
    """Make a test of `prompts` drawn prompts from a run's evaluation (or given samples).

    Writes `out`/key.json and a folder for each of `exports`. `also`: further systems from folders
    of recordings named by prompt id. `seed` decides what is drawn and all names (None: chance); it
    is kept in the key. An `out` that already has a key is refused: answers to it may be under way.
    EvaluationError for what cannot be made; the key is written last, so a test with one is whole.
    """
    unknown = [name for name in exports if name not in get_args(Export)]
    if unknown or not exports:
        raise EvaluationError(f"tests are made for {', '.join(get_args(Export))}; got {unknown}")
    if (out / FILE).exists():
        raise EvaluationError(f"{out} already holds a listening test; give another folder")
    judge = None
    if isinstance(run, Path):
        samples, judge = samples_of_run(run), _judge_of(run)
    else:
        samples = list(run)
    for name, folder in (also or {}).items():
        samples += samples_of_folder(name, folder, samples)
    seed = secrets.randbits(32) if seed is None else seed
    draw = random.Random(seed)
    chosen = choose_samples(samples, systems=systems, prompts=prompts, draw=draw)
    design = design_test(chosen, kind=kind, pairs=pairs, per_set=per_set, checks=checks, draw=draw)
    test = random_name(draw)
    names = [sample.system for sample in chosen[0]]
    where = str(run) if isinstance(run, Path) else ""
    scale = SCALE_NAME if kind == "mmos" else "which continuation makes more sense"
    key = key_of(design, test=test, scale=scale, systems=names, seed=seed, judge=judge, run=where)
    clips = clips_of(design)
    how = Delivery(embed, completion_code, submit_url)
    for name in exports:
        folder = out / name
        if name == "page":
            write_page(folder, design, test, clips, how)
        elif name == "prolific":
            minutes = max(2, round(_seconds(design) / 60))
            write_prolific(
                folder,
                design,
                test,
                clips,
                how,
                study_url=study_url,
                raters=raters,
                minutes=minutes,
            )
        elif name == "mturk":
            write_mturk(folder, design, test, clips, audio_url=audio_url)
        else:
            write_webmushra(folder, design, test, clips)
    write_key(out, key)
    (out / "KEEP-THE-KEY.txt").write_text(_KEEP, encoding="utf-8")
    return key


def analyze_listening_test(
    folder: Path,
    responses: Sequence[Path],
    *,
    min_correlation: float = 0.25,
    allowed_failures: int = 0,
    level: float = 0.95,
    seed: int = 0,
) -> Analysis:
    """Analyze answers to the test in `folder`, and write the analysis to `folder`/analysis."""
    key = read_key(folder)
    found = analyze_answers(
        key,
        read_responses(responses, key),
        min_correlation=min_correlation,
        allowed_failures=allowed_failures,
        level=level,
        seed=seed,
    )
    write_summary(folder / "analysis", found)
    if found.scores:
        write_results(folder / "analysis" / "results.json", opinion_results(key, found))
        write_items(folder / "analysis" / "items.jsonl", opinion_items(found))
    return found


def _judge_of(run: Path) -> str | None:
    results = read_run(run).results
    metrics = [m.metric for m in results.results] if results else []
    return next((name for name in metrics if name.startswith("judge/")), None)


def _seconds(design: Design) -> float:
    """About how long the largest set takes: ten for each recording, ten to judge."""
    clips = {trial.id: len(trial.clips) for trial in design.trials}
    return max(sum(10 * clips[name] + 10 for name in ids) for ids in design.sets)

"""What a run's rounds hold so far, as text: scores, repetition, yields, the best and the worst."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from scipy.stats import spearmanr

from orality.errors import StoreError
from orality.feedback import Selection, SelectionRule, read_selection, resolve
from orality.feedback.select import Candidate
from orality.feedback.yields import (
    BLEU_STEP,
    JudgedRound,
    histogram,
    read_round,
    score_step,
    threshold_grid,
    yields,
)
from orality.progress import duration
from orality.recipe import Recipe
from orality.recipe.pair_sections import verdicts_of
from orality.report.sections.pair_check import check_pairs
from orality.store import iterate_records, read_records, stage_costs
from orality.untrusted.escaping import for_terminal

_WIDTH = 40


def describe_rounds(run: Path, *, examples: int = 3) -> str:
    """Markdown about each round of a run folder in which something is judged.

    Control characters of transcripts are written out. Raises StoreError where `run` is no run
    folder, or nothing in it is judged yet.
    """
    if not (run / "recipe.yaml").is_file():
        raise StoreError(f"{run} is no run folder: it has no recipe.yaml")
    recipe = Recipe.load(run / "recipe.yaml")
    spoken = {
        row["id"]: row["prompt_text"] or ""
        for row in read_records(run / "prompts", ["prompt_text"])
    }
    parts = []
    for number, used in enumerate(recipe.rounds, start=1):
        folder = run / f"round-{number}"
        if not (folder / "verdicts").is_dir():
            continue
        judged = read_round(folder)
        lines = [f"## Round {number}", "", *_summary(judged)]
        lines += [
            "",
            f"Scores ({recipe.judge.name})",
            *_bars(histogram(judged.scores, score_step(judged.scores))),
        ]
        stored = read_selection(folder / "pairs")
        rule = SelectionRule(thresholds=used, options=recipe.selection)
        selection = stored.selection if stored else resolve(rule, run, folder.name).selection
        if judged.auto_bleus:
            lines += [
                "",
                f"Auto-BLEU (allowed: {selection.max_auto_bleu:.3g})",
                *_bars(histogram(judged.auto_bleus, BLEU_STEP)),
            ]
        lines += ["", *_yields(judged, recipe, selection)]
        lines += ["", *check_pairs(run, folder.name, judged.candidates, recipe.selection)]
        for label in recipe.further_judges:
            if (folder / verdicts_of(label)).is_dir():
                lines += ["", _agreement(folder, label, verdicts_of(label))]
        lines += ["", *_examples(judged, spoken, examples)]
        parts.append("\n".join(lines))
    if not parts:
        raise StoreError(f"nothing is judged in {run} yet; `orality pairs` judges the first round")
    costs = list(_costs(run))
    if costs:
        parts.append("\n".join(["## Time and cost", "", *costs]))
    return for_terminal("\n\n".join(parts))


def _costs(run: Path) -> Iterator[str]:
    """A row for each stage; seconds are those of all workers together."""
    costs = stage_costs(run)
    if not costs:
        return
    yield "| round | stage | rows | time | rows a second | cost |"
    yield "|---|---|--:|--:|--:|--:|"
    for cost in costs:
        dollars = f"${cost.dollars:.2f}" if cost.dollars else ""
        figures = f"{cost.rows} | {duration(cost.seconds)} | {cost.rate:.2f} | {dollars}"
        yield f"| {cost.round} | {cost.stage} | {figures} |"


def _agreement(folder: Path, label: str, verdicts: str) -> str:
    """How a further judge's scores go with those that select."""
    main = {row["id"]: row["score"] for row in iterate_records(folder / "verdicts")}
    pairs = [
        (main[row["id"]], row["score"])
        for row in iterate_records(folder / verdicts, ["id", "score"])
        if main.get(row["id"]) is not None and row["score"] is not None
    ]
    if len(pairs) < 3 or any(len(set(scores)) == 1 for scores in zip(*pairs, strict=True)):
        return f"Further judge {label}: {len(pairs)} continuations scored by both"
    found = spearmanr(*zip(*pairs, strict=True)).statistic
    return f"Further judge {label}: Spearman {found:.2f} with the first, n = {len(pairs)}"


def _summary(judged: JudgedRound) -> Iterator[str]:
    scored = len(judged.scores)
    yield f"{len(judged.candidates)} prompts, {scored} continuations with a score"
    if scored < len(judged.continuations):
        abstained = len(judged.continuations) - scored
        yield f"{abstained} continuations on which the judge abstained"


def _bars(counts: Mapping[float, int]) -> Iterator[str]:
    """A line a bin, the longest bar being that of the fullest."""
    most = max(counts.values(), default=1)
    yield "```"
    for edge, count in counts.items():
        yield f"{edge:7.2f}  {'#' * max(1, round(_WIDTH * count / most)):{_WIDTH}}  {count}"
    yield "```"


def _yields(judged: JudgedRound, recipe: Recipe, selection: Selection) -> Iterator[str]:
    yield "| rejected at most | chosen at least | pairs | of the prompts | |"
    yield "|--:|--:|--:|--:|---|"
    used = (selection.rejected, selection.chosen)
    others = [item.scores for item in recipe.rounds if item.scores is not None]
    grid = threshold_grid(judged.scores, [used, *others])
    for found in yields(judged.candidates, grid, selection):
        mark = "this round's" if (found.rejected, found.chosen) == used else ""
        share = found.pairs / max(1, len(judged.candidates))
        line = f"| {found.rejected:.3g} | {found.chosen:.3g} | {found.pairs} "
        yield line + f"| {share:.0%} | {mark} |"


def _examples(judged: JudgedRound, spoken: Mapping[str, str], count: int) -> Iterator[str]:
    ranked = sorted(
        (
            (candidate.score, prompt, candidate)
            for prompt, some in judged.candidates.items()
            for candidate in some
            if candidate.score is not None
        ),
        key=lambda item: (-item[0], item[2].id),
    )
    for title, some in (("Best", ranked[:count]), ("Worst", ranked[::-1][:count])):
        if not some:
            continue
        yield f"{title}:"
        for score, prompt, candidate in some:
            yield f"- {score:.2f}  {_told(spoken.get(prompt, ''), judged, candidate)}"


def _told(start: str, judged: JudgedRound, candidate: Candidate) -> str:
    """A prompt's words and what was heard after them, on one line."""
    heard = judged.texts.get(candidate.id)
    if heard is None:
        return candidate.id
    return " ".join(f"{start} / {heard or '(no speech)'}".split())

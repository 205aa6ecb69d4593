"""What a run's rounds hold so far, as text: scores, repetition, yields, the best and the worst."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from orality.errors import StoreError
from orality.feedback.select import Candidate
from orality.feedback.yields import JudgedRound, read_round, threshold_grid, yields
from orality.recipe import Recipe
from orality.store import read_records

_WIDTH = 40


def describe_rounds(run: Path, *, examples: int = 3) -> str:
    """Markdown about each round of a run folder in which something is judged.

    Raises StoreError where `run` is no run folder, or nothing in it is judged yet.
    """
    if not (run / "recipe.yaml").is_file():
        raise StoreError(f"{run} is no run folder: it has no recipe.yaml")
    recipe = Recipe.load(run / "recipe.yaml")
    prompts = {row["id"]: row for row in read_records(run / "prompts")}
    parts = []
    for number, used in enumerate(recipe.rounds, start=1):
        folder = run / f"round-{number}"
        if not (folder / "verdicts").is_dir():
            continue
        judged = read_round(folder)
        lines = [f"## Round {number}", "", *_summary(judged)]
        lines += ["", f"Scores ({recipe.judge.name})", *_bars(judged.scores)]
        if judged.auto_bleus:
            limit = recipe.selection.max_auto_bleu
            lines += ["", f"Auto-BLEU (allowed: {limit:g})", *_bars(judged.auto_bleus)]
        lines += ["", *_yields(judged, recipe, (used.rejected, used.chosen))]
        lines += ["", *_examples(judged, prompts, examples)]
        parts.append("\n".join(lines))
    if not parts:
        raise StoreError(f"nothing is judged in {run} yet; `orality pairs` judges the first round")
    return "\n\n".join(parts)


def _summary(judged: JudgedRound) -> Iterator[str]:
    yield f"{len(judged.candidates)} prompts, {judged.judged} continuations with a score"
    if judged.unscored:
        yield f"{judged.unscored} continuations on which the judge abstained"


def _bars(histogram: Mapping[float, int]) -> Iterator[str]:
    """A line a bin, the longest bar being that of the fullest."""
    most = max(histogram.values(), default=1)
    yield "```"
    for edge, count in histogram.items():
        yield f"{edge:7.2f}  {'#' * max(1, round(_WIDTH * count / most)):{_WIDTH}}  {count}"
    yield "```"


def _yields(judged: JudgedRound, recipe: Recipe, used: tuple[float, float]) -> Iterator[str]:
    yield "| rejected at most | chosen at least | pairs | of the prompts | |"
    yield "|--:|--:|--:|--:|---|"
    grid = threshold_grid(judged.scores, [(item.rejected, item.chosen) for item in recipe.rounds])
    limit = recipe.selection.max_auto_bleu
    for found in yields(judged.candidates, grid, max_auto_bleu=limit):
        mark = "this round's" if (found.rejected, found.chosen) == used else ""
        share = found.pairs / max(1, len(judged.candidates))
        yield f"| {found.rejected:g} | {found.chosen:g} | {found.pairs} | {share:.0%} | {mark} |"


def _examples(judged: JudgedRound, prompts: Mapping[str, object], count: int) -> Iterator[str]:
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
            yield f"- {score:.2f}  {_told(prompts.get(prompt), judged, candidate)}"


def _told(prompt: object, judged: JudgedRound, candidate: Candidate) -> str:
    """A prompt's words and what was heard after them, on one line."""
    start = prompt.get("prompt_text") if isinstance(prompt, dict) else None
    heard = judged.texts.get(candidate.id)
    if heard is None:
        return candidate.id
    return " ".join(f"{start or ''} / {heard or '(no speech)'}".split())

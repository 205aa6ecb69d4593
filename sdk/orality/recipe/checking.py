"""Whether a resolved recipe can run, found out before any weight is read."""

from __future__ import annotations

from dataclasses import replace

from orality.compatibility import check_stack, judge_problems, listening_problems
from orality.errors import CompatibilityError
from orality.recipe.resolved import ResolvedRecipe, kind_of


def check_resolved(resolved: ResolvedRecipe) -> None:
    """Raise CompatibilityError with every reason why the components cannot work together."""
    recipe = resolved.recipe
    check_stack(
        resolved.stack,
        language=recipe.language,
        thresholds=[item.scores for item in recipe.rounds],
        seconds=recipe.corpus.prompt_seconds + recipe.sampling.max_seconds,
    )
    problems = [
        *_cut_problems(resolved),
        *_further_judge_problems(resolved),
        *_evaluation_problems(resolved),
        *_selection_problems(resolved),
        *_local_problems(resolved),
    ]
    if problems:
        raise CompatibilityError(problems)


def _cut_problems(resolved: ResolvedRecipe) -> list[str]:
    cut = resolved.recipe.corpus.cut
    if cut not in ("aligned", "asr") or resolved.first("corpus.transcriber", "transcriber"):
        return []
    return [f"corpus.cut: {cut!r} needs a transcriber; name it as corpus.transcriber"]


def _further_judge_problems(resolved: ResolvedRecipe) -> list[str]:
    recipe, problems = resolved.recipe, list[str]()
    for label in recipe.further_judges:
        judge = resolved.parts[f"further_judges.{label}"].pair
        problems += judge_problems(replace(resolved.stack, judge=judge), recipe.language)
    return problems


def _evaluation_problems(resolved: ResolvedRecipe) -> list[str]:
    parts, options = resolved.parts, resolved.recipe.evaluation
    places = [f"evaluation.further_judges.{label}" for label in options.further_judges]
    judges = {place: parts[place].pair for place in places}
    if options.judge or options.transcriber:
        judges["evaluation.judge"] = resolved.evaluation_judge.pair
    corpus, transcriber = parts.get("corpus.transcriber"), parts.get("evaluation.transcriber")
    return listening_problems(
        resolved.stack,
        resolved.recipe.language,
        corpus=None if corpus is None else corpus.pair,
        evaluation=None if transcriber is None else transcriber.pair,
        judges=judges,
    )


def _selection_problems(resolved: ResolvedRecipe) -> list[str]:
    judge, known = resolved.recipe.selection.judge, sorted(resolved.recipe.further_judges)
    if judge is None or judge in known:
        return []
    return [f"selection.judge: there is no further judge {judge!r} among {known}"]


def _local_problems(resolved: ResolvedRecipe) -> list[str]:
    if not resolved.recipe.local_only:
        return []
    return [
        f"{place} {part.name!r} sends data to another machine, and the recipe says local_only: "
        f"choose a local {kind_of(place)}"
        for place, part in resolved.parts.items()
        if not part.is_local
    ]

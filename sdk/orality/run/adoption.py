"""Whether a round helped: the new policy against the one it started from, on the dev prompts.

Both continue the same prompts, and the round's own transcriber and judge say how well. Train pairs
and dev pairs cannot say: a policy may order pairs rightly and yet speak worse.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

from orality.errors import StoreError
from orality.evaluation.statistics.intervals import Interval, paired_interval
from orality.feedback import Prompts
from orality.feedback.select import Candidate
from orality.feedback.yields import read_candidates
from orality.run.pairs import judge_policy
from orality.run.session import Session
from orality.store import write_json
from orality.store.systems import ADOPTION

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """Mean scores and auto-BLEU of the dev prompts' continuations before and after a round.

    `prompts`: how many were scored both times, each with the same weight; `difference`: of the mean
    scores, `ci` its 95 % interval over prompts. Auto-BLEU is None where nothing was transcribed.
    """

    adopted: bool
    prompts: int
    before: float
    after: float
    difference: float
    ci: Interval | None
    auto_bleu_before: float | None
    auto_bleu_after: float | None


def adopt_round(session: Session, prompts: Prompts, name: str, adapters: Sequence[Path]) -> bool:
    """Whether the policy of a finished round is kept; what decides is stored with the round.

    `adapters`: the policy's, the round's own last. Where the recipe's `curriculum.adopt` is
    `always`, or there are no dev prompts, it is kept without a comparison. Otherwise it is kept if
    the dev prompts' mean score has risen; if not, the adapter stays in its folder, and the
    next round starts from the policy before.
    """
    if session.recipe.curriculum.adopt == "always" or not prompts.count("dev"):
        return True
    note = session.run.path / name / ADOPTION
    if not note.is_file():
        after = judge_policy(session, prompts, f"{name}/adoption", adapters, split="dev")
        verdicts = session.recipe.selection.verdicts
        found = compare(
            read_candidates(session.run.path / name, verdicts), read_candidates(after, verdicts)
        )
        if not found.adopted:
            logger.warning(
                "%s is not adopted: the dev prompts' mean score was %.3f before it and is %.3f "
                "after it; its adapter is kept, but the policy is the one before",
                name, found.before, found.after,
            )  # fmt: skip
        write_json(note, asdict(found))
    return session.adopted(name)


def compare(
    before: Mapping[str, Sequence[Candidate]], after: Mapping[str, Sequence[Candidate]]
) -> Adoption:
    """Compare judged continuations of the prompts that both hold; StoreError when there are none.

    A policy whose mean score is the same has not helped.
    """
    old, new = _mean_scores(before), _mean_scores(after)
    shared = sorted(old.keys() & new.keys())
    if not shared:
        raise StoreError(
            "no dev prompt has a score before and after the round; look at the judge's verdicts, "
            "or set curriculum.adopt to always"
        )
    first, second = ([scores[name] for name in shared] for scores in (old, new))
    return Adoption(
        adopted=fmean(second) > fmean(first),
        prompts=len(shared),
        before=fmean(first),
        after=fmean(second),
        difference=fmean(second) - fmean(first),
        ci=paired_interval(second, first),
        auto_bleu_before=_repetition(before, shared),
        auto_bleu_after=_repetition(after, shared),
    )


def _mean_scores(candidates: Mapping[str, Sequence[Candidate]]) -> dict[str, float]:
    scores = {
        name: [item.score for item in some if item.score is not None]
        for name, some in candidates.items()
    }
    return {name: fmean(some) for name, some in scores.items() if some}


def _repetition(
    candidates: Mapping[str, Sequence[Candidate]], prompts: Sequence[str]
) -> float | None:
    known = [
        item.auto_bleu
        for name in prompts
        for item in candidates[name]
        if item.auto_bleu is not None
    ]
    return fmean(known) if known else None

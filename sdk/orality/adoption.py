"""Whether a round helped: the new policy against the one it started from, on the dev prompts.

Both continue the same prompts, and the round's own transcriber and judge say how well. Train pairs
and dev pairs cannot tell: a policy may order pairs rightly and yet speak worse.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from orality.evaluation.statistics import Interval, paired_interval
from orality.feedback import Prompts
from orality.feedback.yields import read_candidates
from orality.rounds import judge_round
from orality.session import ADOPTION, Session
from orality.store import write_json

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """Mean scores and auto-BLEU of the dev prompts' continuations before and after a round.

    `prompts`: how many were scored both times; `difference` of their mean scores, `ci` its 95 %
    interval over prompts, None for fewer than two.
    """

    adopted: bool
    prompts: int
    before: float
    after: float
    difference: float
    ci: Interval | None
    auto_bleu_before: float | None
    auto_bleu_after: float | None


def adopt_round(
    session: Session, prompts: Prompts, name: str, before: Sequence[Path], adapter: Path
) -> bool:
    """Whether the policy of a finished round is kept; what decides is stored with the round.

    A recipe whose `curriculum.adopt` is `always` keeps it unseen, and so does one without dev
    prompts. Otherwise the adapter stays in its folder, but the next round starts from the policy
    before, unless the dev prompts' mean score has risen.
    """
    wanted = session.recipe.curriculum.adopt
    if wanted == "always" or not prompts.count("dev"):
        return True
    note = session.run.path / name / ADOPTION
    if not note.is_file():
        folder = judge_round(session, prompts, f"{name}/adoption", [*before, adapter], "dev")
        verdicts = session.recipe.selection.verdicts
        found = compare_rounds(session.run.path / name, folder, verdicts)
        if not found.adopted:
            logger.warning(
                "%s is not adopted: dev prompts scored %.3f before and %.3f after it",
                name, found.before, found.after,
            )  # fmt: skip
        write_json(note, asdict(found))
    return session.adopted(name)


def compare_rounds(before: Path, after: Path, verdicts: str = "verdicts") -> Adoption:
    """Compare two folders of judged continuations on the prompts that both hold."""
    old, new = (_by_prompt(folder, verdicts) for folder in (before, after))
    shared = sorted(old.keys() & new.keys())
    first, second = ([scores[name] for name in shared] for scores in (old, new))
    if not shared:
        raise_nothing(before, after)
    mean_before, mean_after = sum(first) / len(first), sum(second) / len(second)
    return Adoption(
        adopted=mean_after > mean_before,
        prompts=len(shared),
        before=mean_before,
        after=mean_after,
        difference=mean_after - mean_before,
        ci=paired_interval(second, first) if len(shared) > 1 else None,
        auto_bleu_before=_repetition(before, verdicts, set(shared)),
        auto_bleu_after=_repetition(after, verdicts, set(shared)),
    )

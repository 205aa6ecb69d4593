"""How the judge of a run agrees with the people who listened."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orality.errors import EvaluationError
from orality.evaluation.statistics.correlation import Correlation, correlate
from orality.listening.key import TIE, Key
from orality.listening.votes import Votes, real_answers


@dataclass(frozen=True, slots=True)
class JudgeAgreement:
    """The judge's scores against people's. `ci` of `*_by_prompt` draws whole prompts."""

    pearson: Correlation
    spearman: Correlation
    pearson_by_prompt: Correlation
    spearman_by_prompt: Correlation


def rated_trials(key: Key, votes: Votes) -> list[dict[str, object]]:
    """A row per trial with votes: people's mean and the judge's score, or score difference."""
    heard: dict[str, list[float]] = {}
    for given in votes.values():
        for name, value in real_answers(key, given).items():
            trial = key.trials[name]
            heard.setdefault(name, []).append(
                float(value) if isinstance(value, int) else _won(value, trial.samples[0].clip)
            )
    rows = []
    for name, values in sorted(heard.items()):
        trial = key.trials[name]
        scores = [sample.score for sample in trial.samples]
        known = [score for score in scores if score is not None]
        judge = None
        if len(known) == len(scores):
            judge = known[0] if len(known) == 1 else known[0] - known[1]
        rows.append(
            {
                "trial": name, "prompt": trial.prompt,
                "systems": " / ".join(sample.system for sample in trial.samples),
                "samples": " / ".join(sample.sample for sample in trial.samples),
                "human": math.fsum(values) / len(values), "ratings": len(values), "judge": judge,
            }
        )  # fmt: skip
    return rows


def _won(value: str, clip: str) -> float:
    return 0.5 if value == TIE else float(value == clip)


def judge_agreement(
    points: Sequence[Mapping[str, object]], *, level: float = 0.95, seed: int = 0
) -> tuple[JudgeAgreement | None, str]:
    """Correlations over trials that the judge scored; None, and why, where there can be none."""
    known = [row for row in points if row["judge"] is not None]
    judge = [float(str(row["judge"])) for row in known]
    human = [float(str(row["human"])) for row in known]
    prompts = [str(row["prompt"]) for row in known]
    try:
        plain = [correlate(judge, human, method=m, level=level) for m in ("pearson", "spearman")]
        drawn = [
            correlate(judge, human, prompts, method=m, level=level, seed=seed)
            for m in ("pearson", "spearman")
        ]
    except EvaluationError as error:
        return None, str(error)
    return JudgeAgreement(*plain, *drawn), ""

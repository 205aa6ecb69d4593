"""From answers to figures: who is left out, opinion scores, preferences, judge and people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from orality.errors import EvaluationError
from orality.evaluation.statistics.correlation import krippendorff_alpha
from orality.evaluation.statistics.crowdmos import (
    MIN_CORRELATION,
    OpinionScore,
    opinion_score,
    rater_correlations,
)
from orality.evaluation.statistics.intervals import (
    Interval,
    binomial_interval,
    holm,
    paired_interval,
    permutation_p,
)
from orality.listening.judge_agreement import JudgeAgreement, judge_agreement, rated_trials
from orality.listening.key import TIE, Key
from orality.listening.responses import Session
from orality.listening.votes import Votes, collect_votes, failed_checks, real_answers


@dataclass(frozen=True, slots=True)
class Exclusions:
    """Raters that are not counted, with the reason: checks failed, or the correlation."""

    raters: int
    failed_checks: Mapping[str, int] = field(default_factory=dict)
    outliers: Mapping[str, float] = field(default_factory=dict)
    repeated_answers: int = 0
    answers: int = 0
    kept_answers: int = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean rating of `a` minus that of `b` over the prompts both have, paired by prompt."""

    a: str
    b: str
    difference: float
    ci: Interval | None
    p_value: float
    p_holm: float
    n: int


@dataclass(frozen=True, slots=True)
class Preference:
    """How often `a` was preferred to `b`. `share` and its exact interval are without ties.

    `by_prompt`: wins, losses and ties of each prompt's majority, with the same interval: votes on
    one prompt are not independent, prompts are. `p_value` and `p_holm` are the exact test of these.
    """

    a: str
    b: str
    wins: int
    losses: int
    ties: int
    share: float | None
    ci: Interval | None
    by_prompt: tuple[int, int, int]
    prompt_share: float | None
    prompt_ci: Interval | None
    p_value: float
    p_holm: float


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything a listening test found; scores `before` outliers were left out stand beside."""

    kind: str
    scale: str
    exclusions: Exclusions
    scores: Mapping[str, OpinionScore] = field(default_factory=dict)
    before: Mapping[str, OpinionScore] = field(default_factory=dict)
    differences: Sequence[Difference] = ()
    preferences: Sequence[Preference] = ()
    judge: JudgeAgreement | None = None
    judge_name: str | None = None
    no_judge: str = ""
    alpha: float | None = None
    points: Sequence[Mapping[str, object]] = ()


def analyze_answers(
    key: Key,
    sessions: Sequence[Session],
    *,
    min_correlation: float = MIN_CORRELATION,
    allowed_failures: int = 0,
    level: float = 0.95,
    seed: int = 0,
) -> Analysis:
    """Analyze a test. Who fails more than `allowed_failures` checks is left out, then outliers.

    Outliers are raters whose ratings correlate with the others' below `min_correlation` (CrowdMOS;
    MMOS only). Everything left out is named and counted. A rater's second answer to a trial is
    counted as repeated, the first one stands. EvaluationError when nobody is left.
    """
    votes, repeated = collect_votes(sessions)
    failures = {rater: failed_checks(key, given) for rater, given in votes.items()}
    failed = {rater: count for rater, count in failures.items() if count > allowed_failures}
    kept = {rater: given for rater, given in votes.items() if rater not in failed}
    outliers: dict[str, float] = {}
    before: dict[str, OpinionScore] = {}
    if key.kind == "mmos" and kept:
        before = _scores(key, kept, level)
        correlations = rater_correlations(_cube(key, kept))
        outliers = {
            rater: value
            for rater, value in zip(kept, correlations, strict=True)
            if value < min_correlation
        }
        kept = {rater: given for rater, given in kept.items() if rater not in outliers}
    if not kept:
        raise EvaluationError(
            f"of {len(votes)} raters {len(failed)} failed the attention checks and {len(outliers)} "
            "disagree with the rest: nobody is left to count"
        )
    answers = [len(real_answers(key, given)) for given in votes.values()]
    exclusions = Exclusions(
        len(votes), failed, outliers, repeated, sum(answers),
        sum(len(real_answers(key, given)) for given in kept.values()),
    )  # fmt: skip
    points = rated_trials(key, kept)
    judge, no_judge = judge_agreement(points, level=level, seed=seed)
    found = Analysis(
        key.kind, key.scale, exclusions, judge=judge, judge_name=key.judge, no_judge=no_judge,
        points=points,
    )  # fmt: skip
    if key.kind == "preference":
        return replace(found, preferences=_preferences(key, kept, level))
    cube = _cube(key, kept)
    alpha = krippendorff_alpha(np.concatenate(cube, axis=1))
    return replace(
        found,
        scores=_scores(key, kept, level),
        before=before,
        differences=_differences(key, cube, level, seed),
        alpha=None if math.isnan(alpha) else alpha,
    )


def _cube(key: Key, votes: Votes) -> NDArray[np.float64]:
    """Ratings as systems x raters x prompts; NaN where there is none."""
    prompts = {p: i for i, p in enumerate(dict.fromkeys(t.prompt for t in key.trials.values()))}
    cube = np.full((len(key.systems), len(votes), len(prompts)), np.nan)
    for row, given in enumerate(votes.values()):
        for name, value in real_answers(key, given).items():
            trial = key.trials[name]
            cube[key.systems.index(trial.samples[0].system), row, prompts[trial.prompt]] = value
    return cube


def _scores(key: Key, votes: Votes, level: float) -> dict[str, OpinionScore]:
    """Of systems with ratings. Rows and columns nobody filled are left out of the matrix."""
    found = {}
    for name, matrix in zip(key.systems, _cube(key, votes), strict=True):
        given = ~np.isnan(matrix)
        if given.any():
            filled = matrix[given.any(axis=1)][:, given.any(axis=0)]
            found[name] = opinion_score(filled, level=level)
    return found


def _differences(key: Key, cube: NDArray[np.float64], level: float, seed: int) -> list[Difference]:
    means = {}
    for name, matrix in zip(key.systems, cube, strict=True):
        counts = (~np.isnan(matrix)).sum(axis=0)
        means[name] = np.where(
            counts > 0, np.nansum(matrix, axis=0) / np.maximum(counts, 1), np.nan
        )
    found = []
    for b, a in combinations(key.systems, 2):
        shared = ~(np.isnan(means[a]) | np.isnan(means[b]))
        left, right = means[a][shared], means[b][shared]
        if not len(left):
            continue
        p_value = permutation_p(left, right, seed=seed)
        ci = paired_interval(left, right, level=level, seed=seed)
        change = float(left.mean() - right.mean())
        found.append(Difference(a, b, change, ci, p_value, p_value, len(left)))
    corrected = holm([item.p_value for item in found])
    return [replace(item, p_holm=p) for item, p in zip(found, corrected, strict=True)]


def _preferences(key: Key, votes: Votes, level: float) -> list[Preference]:
    tallies: dict[tuple[str, str], dict[str, list[int]]] = {}  # wins, losses, ties by prompt
    for given in votes.values():
        for name, value in real_answers(key, given).items():
            trial = key.trials[name]
            first, second = sorted(trial.samples, key=lambda s: key.systems.index(s.system))
            by_prompt = tallies.setdefault((second.system, first.system), {})
            place = 2 if value == TIE else int(value == first.clip)
            by_prompt.setdefault(trial.prompt, [0, 0, 0])[place] += 1
    found = []
    for (a, b), by_prompt in tallies.items():
        wins, losses, ties = (sum(count[i] for count in by_prompt.values()) for i in range(3))
        signs = [int(np.sign(count[0] - count[1])) for count in by_prompt.values()]
        majority = (signs.count(1), signs.count(-1), signs.count(0))
        decided = majority[0] + majority[1]
        p_value = float(stats.binomtest(majority[0], decided).pvalue) if decided else 1.0
        found.append(
            Preference(
                a, b, wins, losses, ties, *_share(wins, losses, level), majority,
                *_share(*majority[:2], level), p_value, p_value,
            )
        )  # fmt: skip
    corrected = holm([item.p_value for item in found])
    return [replace(item, p_holm=p) for item, p in zip(found, corrected, strict=True)]


def _share(wins: int, losses: int, level: float) -> tuple[float | None, Interval | None]:
    if wins + losses == 0:
        return None, None
    return wins / (wins + losses), binomial_interval(wins, wins + losses, level=level)

"""Does the model find the right recording more likely? Scores, outcomes and accuracies of pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from orality.errors import EvaluationError
from orality.evaluation.journal import Journal, Row
from orality.evaluation.pairs import BenchmarkPair
from orality.evaluation.statistics import cluster_means
from orality.evaluation.swuggy import BANDS, IN_VOCABULARY, OUT_OF_VOCABULARY
from orality.evaluation.units import Encoded
from orality.progress import Progress, silent
from orality.protocols import SpeechLM
from orality.types import Units

Normalize = Literal["mean", "sum"]


@dataclass(frozen=True, slots=True)
class Likelihood:
    """The log-probability of a recording in nats, and how many tokens it is the sum of."""

    total: float
    tokens: int

    def score(self, normalize: Normalize) -> float:
        """Nats per predicted token (`mean`), or of the whole recording (`sum`)."""
        return self.total / self.tokens if normalize == "mean" else self.total


@dataclass(frozen=True, slots=True)
class PairOutcome:
    """What a model made of a pair: 1 right, 0 wrong, 0.5 a tie, None (with a reason) if unknown."""

    pair: BenchmarkPair
    value: float | None
    positive: float | None = None
    negative: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """An accuracy over clusters: `means` holds one value per cluster, `value` their mean.

    `n`: pairs counted; `n_failed`: pairs without a score, not counted; `n_ties`: of the counted.
    `items`: (cluster, value) by pair id, what a paired test needs.
    """

    value: float
    means: Mapping[str, float]
    n: int
    n_failed: int
    n_ties: int
    items: Mapping[str, tuple[str, float]] = field(default_factory=dict)


def predicted_tokens(units: Units, convention: str) -> int:
    """How many tokens `log_likelihood` sums over: all but the first step, or all and the end."""
    steps = len(units) - 1 if convention == "no_bos" else len(units) + 1
    return steps * (units.ids.shape[1] if units.ids.ndim == 2 else 1)


def score_pairs(
    pairs: Sequence[BenchmarkPair],
    units: Mapping[Path, Encoded],
    slm: Callable[[], SpeechLM],
    journal: Journal,
    *,
    convention: str = "no_bos",
    batch_size: int = 32,
    progress: Progress = silent,
    stage: str = "likelihood",
) -> dict[str, Row]:
    """Both log-likelihoods of every pair, by pair id; what `journal` holds is not done again.

    Rows are {id, positive: [total, tokens], negative: ...} or, for a pair that cannot be scored
    (unreadable, shorter than two units, longer than the model's context, a likelihood that is
    not a number), {id, error}; the latter are not stored, so a later run tries them again. The
    model is built only if something is left to do.
    """
    rows: dict[str, Row] = {}
    todo: list[BenchmarkPair] = []
    for pair in pairs:
        if pair.id in journal.rows:
            rows[pair.id] = journal.rows[pair.id]
        elif problem := _unreadable(pair, units):
            rows[pair.id] = {"id": pair.id, "error": problem}
        else:
            todo.append(pair)
    progress(stage, len(rows), len(pairs))
    model = slm() if todo else None
    # Equal lengths together: a batch wastes no padding.
    todo.sort(key=lambda p: (max(len(units[p.positive]), len(units[p.negative])), p.id))
    for start in range(0, len(todo), batch_size):
        assert model is not None
        fresh = _score(model, todo[start : start + batch_size], units, convention)
        journal.append(row for row in fresh if "error" not in row)
        rows |= {row["id"]: row for row in fresh}
        progress(stage, len(rows), len(pairs))
    return rows


def outcomes(
    pairs: Iterable[BenchmarkPair], rows: Mapping[str, Row], normalize: Normalize = "mean"
) -> list[PairOutcome]:
    """Turn stored likelihoods into right, wrong or tied; equal scores (two -inf too) tie."""
    results = []
    for pair in pairs:
        row = rows[pair.id]
        if "error" in row:
            results.append(PairOutcome(pair, None, error=row["error"]))
            continue
        right, wrong = (
            Likelihood(*row[side]).score(normalize) for side in ("positive", "negative")
        )
        results.append(PairOutcome(pair, preference(right, wrong), right, wrong))
    return results


def preference(positive: float, negative: float) -> float:
    """1 if the positive's score is higher, 0 if lower, 0.5 if equal."""
    return 0.5 if positive == negative else float(positive > negative)


def accuracy(results: Sequence[PairOutcome]) -> Accuracy:
    """ZeroSpeech's accuracy: the mean over pairs of a cluster (voices), then over clusters.

    Pairs that could not be scored are left out and counted; EvaluationError if none is left.
    """
    items = {r.pair.id: (r.pair.cluster, r.value) for r in results if r.value is not None}
    known = [(item.value, item.pair.cluster) for item in results if item.value is not None]
    failed = len(results) - len(known)
    if not known:
        reasons = sorted({item.error for item in results})
        raise EvaluationError(
            f"none of the {failed} pairs could be scored: {'; '.join(reasons[:3]) or 'no pairs'}"
        )
    means = cluster_means([value for value, _ in known], [cluster for _, cluster in known])
    ties = sum(value == 0.5 for value, _ in known)
    mean = math.fsum(means.values()) / len(means)
    return Accuracy(mean, means, len(known), failed, ties, items)


def accuracies(results: Sequence[PairOutcome], kind: str) -> dict[str | None, Accuracy]:
    """The overall accuracy (key None) and one per group that has a scored pair.

    sWUGGY's groups come in the order of their frequencies, with `in_vocab`, the mean over all
    words that are not out of vocabulary, before them.
    """
    found: dict[str | None, Accuracy] = {None: accuracy(results)}
    known = [item for item in results if item.value is not None and item.pair.group is not None]
    names = sorted({str(item.pair.group) for item in known})
    if kind == "swuggy":
        bands = [name for _, name in BANDS]
        names.sort(key=lambda name: bands.index(name) if name in bands else len(bands))
        inside = [item for item in results if item.pair.group not in {None, OUT_OF_VOCABULARY}]
        if any(item.value is not None for item in inside):
            found[IN_VOCABULARY] = accuracy(inside)
    for name in names:
        found[name] = accuracy([item for item in results if item.pair.group == name])
    return found


def _unreadable(pair: BenchmarkPair, units: Mapping[Path, Encoded]) -> str:
    for path in (pair.positive, pair.negative):
        encoded = units[path]
        if isinstance(encoded, str):
            return encoded
    return ""


def _score(
    slm: SpeechLM, pairs: Sequence[BenchmarkPair], units: Mapping[Path, Encoded], convention: str
) -> list[Row]:
    fresh: dict[str, Row] = {}
    for pair in pairs:
        for path in (pair.positive, pair.negative):
            if problem := _unfit(units[path], slm.context_length, convention):
                fresh[pair.id] = {"id": pair.id, "error": f"{path}: {problem}"}
    fit = [pair for pair in pairs if pair.id not in fresh]
    batch = [units[path] for pair in fit for path in (pair.positive, pair.negative)]
    given = [item for item in batch if isinstance(item, Units)]
    totals = slm.log_likelihood(given, convention=convention) if given else []
    if len(totals) != len(given):
        raise EvaluationError(
            f"the model gave {len(totals)} log-likelihoods for {len(given)} recordings"
        )
    counts = [predicted_tokens(item, convention) for item in given]
    scored = list(zip(totals, counts, strict=True))
    for pair, positive, negative in zip(fit, scored[::2], scored[1::2], strict=True):
        row: Row = {"id": pair.id, "positive": list(positive), "negative": list(negative)}
        if math.isnan(positive[0]) or math.isnan(negative[0]):
            row = {"id": pair.id, "error": "the model's log-likelihood is not a number"}
        fresh[pair.id] = row
    return [fresh[pair.id] for pair in pairs]


def _unfit(units: Encoded, context_length: int, convention: str) -> str:
    assert isinstance(units, Units)
    if len(units) == 0 or predicted_tokens(units, convention) < 1:
        return f"{len(units)} units are too few to predict one"
    tokens = len(units) + (0 if convention == "no_bos" else 2)
    if tokens > context_length:
        return f"{tokens} tokens do not fit the model's context of {context_length}"
    return ""

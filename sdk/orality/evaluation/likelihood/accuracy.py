"""Does the model find the right recording more likely? Scores, outcomes and accuracies of pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from orality.errors import EvaluationError
from orality.evaluation.benchmarks.pairs import BenchmarkPair
from orality.evaluation.benchmarks.swuggy import BANDS, IN_VOCABULARY, OUT_OF_VOCABULARY
from orality.evaluation.contents import digest_of_units
from orality.evaluation.journal import Journal, Row
from orality.evaluation.likelihood.encoded import Encoded
from orality.evaluation.likelihood.packed_scoring import (
    MAX_TOKENS,
    ScorePairs,
    in_rows,
    packed_scoring,
    packed_tokens,
)
from orality.evaluation.statistics.intervals import cluster_means
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
    max_tokens: int = MAX_TOKENS,
    progress: Progress = silent,
    stage: str = "likelihood",
) -> dict[str, Row]:
    """Both log-likelihoods of every pair, by pair id; what `journal` holds is not done again, as
    long as the pair's recordings give the units that it was made from.

    Pairs go through the model in packed rows of at most `max_tokens`, see `packed_scoring`.

    Rows are {id, units: digest, positive: [total, tokens], negative: ...} or, for a pair that
    cannot be scored (unreadable, shorter than two units, longer than the context, a likelihood
    that is not a number), {id, error}; the latter are not stored, so a later run tries them again.
    The model is built only if something is left to do.
    """
    rows: dict[str, Row] = {}
    todo: list[BenchmarkPair] = []
    for pair in pairs:
        stored = journal.rows.get(pair.id)
        if stored is not None and stored.get("units") == digest_of_pair(pair, units):
            rows[pair.id] = stored
        elif problem := _unreadable(pair, units):
            rows[pair.id] = {"id": pair.id, "error": problem}
        else:
            todo.append(pair)
    progress(stage, len(rows), len(pairs))
    if not todo:
        return rows
    model = slm()
    fit = []
    for pair in todo:
        if problem := _unfit(pair, units, model.context_length, convention):
            rows[pair.id] = {"id": pair.id, "error": problem}
        else:
            fit.append((pair, _units_of(pair, units)))
    # Like lengths together: what is scored one by one wastes no padding either.
    fit.sort(key=lambda item: (packed_tokens(item[1]), item[0].id))
    probe = [fit[place][1] for place in sorted({0, len(fit) // 2})] if fit else []
    with packed_scoring(model, convention, probe) as score:
        for start, end in in_rows([packed_tokens(both) for _, both in fit], max_tokens):
            fresh = [
                row if "error" in row else row | {"units": digest_of_units(both)}
                for row, (_, both) in zip(
                    _rows(fit[start:end], score, convention), fit[start:end], strict=True
                )
            ]
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


def digest_of_pair(pair: BenchmarkPair, units: Mapping[Path, Encoded]) -> str | None:
    """What stored likelihoods of a pair were made from; None where it has no units."""
    return None if _unreadable(pair, units) else digest_of_units(_units_of(pair, units))


def _units_of(pair: BenchmarkPair, units: Mapping[Path, Encoded]) -> tuple[Units, Units]:
    positive, negative = units[pair.positive], units[pair.negative]
    assert isinstance(positive, Units)
    assert isinstance(negative, Units)
    return positive, negative


def _rows(
    pairs: Sequence[tuple[BenchmarkPair, tuple[Units, Units]]], score: ScorePairs, convention: str
) -> list[Row]:
    rows: list[Row] = []
    found = score([both for _, both in pairs])
    for (pair, both), totals in zip(pairs, found, strict=True):
        if any(map(math.isnan, totals)):
            rows.append({"id": pair.id, "error": "the model's log-likelihood is not a number"})
            continue
        counts = [predicted_tokens(item, convention) for item in both]
        scored = [list(item) for item in zip(totals, counts, strict=True)]
        rows.append({"id": pair.id, "positive": scored[0], "negative": scored[1]})
    return rows


def _unfit(
    pair: BenchmarkPair, units: Mapping[Path, Encoded], context_length: int, convention: str
) -> str:
    for path, found in zip((pair.positive, pair.negative), _units_of(pair, units), strict=True):
        tokens = len(found) + (0 if convention == "no_bos" else 2)
        if len(found) == 0 or predicted_tokens(found, convention) < 1:
            return f"{path}: {len(found)} units are too few to predict one"
        if tokens > context_length:
            return f"{path}: {tokens} tokens do not fit the model's context of {context_length}"
    return ""

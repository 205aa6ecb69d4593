"""How many pairs thresholds would give, from what is already judged (Align-SLM, table 6)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from orality.errors import StoreError
from orality.feedback.preferences import Selection
from orality.feedback.select import Candidate, candidate_of
from orality.store import iterate_records

BLEU_STEP = 0.1


@dataclass(frozen=True, slots=True)
class Yield:
    """A pair of thresholds, as `select_pairs` reads them, and how many prompts give a pair."""

    rejected: float
    chosen: float
    pairs: int


@dataclass(frozen=True, slots=True)
class JudgedRound:
    """What a round has sampled and judged so far.

    `candidates`: those of each prompt, in the order of their ids; without units there are none.
    `texts`: what the transcriber heard, by continuation.
    """

    candidates: Mapping[str, Sequence[Candidate]]
    texts: Mapping[str, str]

    @property
    def continuations(self) -> list[Candidate]:
        """All candidates, prompt by prompt."""
        return [item for some in self.candidates.values() for item in some]

    @property
    def scores(self) -> list[float]:
        """Of all continuations from which the judge did not abstain."""
        return [item.score for item in self.continuations if item.score is not None]

    @property
    def auto_bleus(self) -> list[float]:
        """Of all continuations with a transcript."""
        return [item.auto_bleu for item in self.continuations if item.auto_bleu is not None]


def read_round(folder: Path, verdicts: str = "verdicts") -> JudgedRound:
    """A round's folder, by the verdicts in a subfolder; StoreError when there are none."""
    candidates = read_candidates(folder, verdicts)
    texts = iterate_records(folder / "transcripts", ["id", "text"])
    return JudgedRound(candidates, {row["id"]: row["text"] or "" for row in texts})


def read_candidates(folder: Path, verdicts: str = "verdicts") -> dict[str, list[Candidate]]:
    """The judged continuations of each prompt, in the order of their ids.

    Raises StoreError when nothing is judged in the round's folder yet.
    """
    repeated = {
        row["id"]: row for row in iterate_records(folder / "transcripts", ["id", "auto_bleu"])
    }
    judged = {
        row["id"]: candidate_of(row, repeated.get(row["id"]))
        for row in iterate_records(folder / verdicts, ["id", "score", "metrics"])
    }
    if not judged:
        raise StoreError(
            f"{folder} holds no {verdicts}; wanted a run's folder round-1, round-2, ... in which "
            "`orality pairs` or `orality align` has judged something"
        )
    found: dict[str, list[Candidate]] = {}
    for row in iterate_records(folder / "continuations", ["id", "prompt_id", "units"]):
        if row["units"] and row["id"] in judged:
            found.setdefault(row["prompt_id"], []).append(judged[row["id"]])
    return {name: sorted(some, key=lambda item: item.id) for name, some in sorted(found.items())}


def yields(
    candidates: Mapping[str, Sequence[Candidate]],
    thresholds: Sequence[tuple[float, float]],
    selection: Selection,
) -> list[Yield]:
    """For each (rejected, chosen): the prompts that give a pair, the rest as in `selection`."""
    found = []
    for rejected, chosen in thresholds:
        other = replace(selection, rejected=rejected, chosen=chosen)
        given = sum(bool(other.pick(some)) for some in candidates.values())
        found.append(Yield(rejected, chosen, given))
    return found


def threshold_grid(
    scores: Sequence[float], used: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    """Every two whole numbers among the scores, and the thresholds that are in use; in order."""
    low, high = math.floor(min(scores, default=0)), math.ceil(max(scores, default=0))
    whole = range(low, high + 1) if high - low <= 10 else range(0)
    return sorted({*((float(a), float(b)) for a, b in combinations(whole, 2)), *used})


def score_step(scores: Sequence[float]) -> float:
    """Width of a score's bin: .5 on a scale of a few grades, else a tenth of what occurs."""
    spread = max(scores, default=0.0) - min(scores, default=0.0)
    return 0.5 if spread <= 5 else spread / 10


def histogram(values: Sequence[float], step: float) -> dict[float, int]:
    """How many values lie in each bin of width `step`, by its lower edge; no empty bins."""
    # A value on an edge belongs to the bin that begins there, in spite of binary fractions.
    counts = Counter(math.floor(value / step + 1e-9) for value in values)
    return {round(index * step, 6): counts[index] for index in sorted(counts)}

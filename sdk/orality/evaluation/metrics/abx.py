"""ABX: are two tokens of one phone nearer to each other than to a token of another phone?

The error is P(d(A, X) > d(B, X)) with A and X of one phone and B of another, all in the same
context; ties count half. It is averaged over the triples of a cell, over contexts, over speakers
and over pairs of phones, as ZeroSpeech does. Every triple is compared, so that this is for unit
sequences and small sets; `zerospeech_abx` hands large ones to fastabx.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orality.errors import EvaluationError
from orality.evaluation.metrics.sound import missing_extra

Array = NDArray[np.float64]
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class AbxToken:
    """A spoken phone: `sequence` holds unit ids (frames,) or features (frames, size)."""

    sequence: ArrayLike
    phone: str
    speaker: str = ""
    context: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class AbxItem:
    """A line of an `.item` file; times in seconds."""

    file: str
    onset: float
    offset: float
    phone: str
    context: tuple[str, str]
    speaker: str

    def frames(self, frame_rate: float) -> slice:
        """The frames whose middle lies inside, at `frame_rate` per second."""
        start = math.ceil(round(self.onset * frame_rate, 6) - 0.5)
        return slice(max(0, start), math.floor(round(self.offset * frame_rate, 6) - 0.5) + 1)


@dataclass(frozen=True, slots=True)
class AbxError:
    """The error rate in [0, 1] over `n_pairs` ordered pairs of phones and `n_triples` triples."""

    value: float
    n_pairs: int
    n_triples: int


def abx_error(
    tokens: Sequence[AbxToken], *, speaker: Literal["within", "across"] = "within"
) -> AbxError:
    """The ABX error; `within`: X has the speaker of A and B, `across`: X has another.

    Unit ids are compared by whether they are equal, features by the angle between them (0 to 1);
    both are aligned by dynamic time warping, and the mean along the path counts. Raises
    EvaluationError for a sequence that is empty or not finite, or where no triple can be made.
    """
    if speaker not in ("within", "across"):
        raise EvaluationError(f"speakers are compared within or across, got {speaker!r}")
    sequences = [_sequence(token, place) for place, token in enumerate(tokens)]
    kinds = {(row.ndim, row.shape[1:]) for row in sequences}
    if len(kinds) > 1:
        raise EvaluationError("all tokens are either units or features of one size, got a mixture")
    distances = _distances(sequences)
    by_pair: dict[Key, dict[Key, list[float]]] = {}
    triples = 0
    for (pair, who), a, b, x in _cells(tokens, speaker):
        wrong = [
            0.5 if to_a == to_b else float(to_a > to_b)
            for i in x
            for j in a
            if i != j
            for k in b
            for to_a, to_b in [(distances(j, i), distances(k, i))]
        ]
        if wrong:
            triples += len(wrong)
            cell = math.fsum(wrong) / len(wrong)
            by_pair.setdefault(pair, {}).setdefault(who, []).append(cell)
    if not by_pair:
        raise EvaluationError(
            f"no triple {speaker} speakers can be made: wanted two phones in one context, one of "
            "them said twice"
        )
    errors = [_mean([_mean(cells) for cells in found.values()]) for found in by_pair.values()]
    return AbxError(_mean(errors), len(errors), triples)


def read_abx_items(path: str | Path) -> list[AbxItem]:
    """The lines of an `.item` file: `#file onset offset #phone prev-phone next-phone speaker`."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{path} cannot be read: {error}") from error
    items = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#file"):
            continue
        fields = line.split()
        try:
            file, onset, offset, phone, before, after, who = fields
            items.append(AbxItem(file, float(onset), float(offset), phone, (before, after), who))
        except ValueError as error:
            raise EvaluationError(f"{path}, line {number}: wanted 7 fields: {error}") from error
    return items


def zerospeech_abx(item: str | Path, features: str | Path, **options: Any) -> float:
    """The error of features on disk by fastabx (MIT), which takes further `options`.

    Needs Python 3.12 and the extra `abx`; EvaluationError where either is missing.
    """
    if sys.version_info < (3, 12):
        raise EvaluationError(
            f"fastabx needs Python 3.12, this is {sys.version_info[0]}.{sys.version_info[1]}; "
            "abx_error works everywhere"
        )
    try:
        import fastabx
    except ImportError as error:
        raise missing_extra("ABX of large sets", "abx", error) from error
    return float(fastabx.zerospeech_abx(item, features, **options))


def _cells(
    tokens: Sequence[AbxToken], speaker: str
) -> Iterator[tuple[tuple[Key, Key], list[int], list[int], list[int]]]:
    """Pair of phones, speakers, and the places of A, B and X, for each context and speaker."""
    groups: dict[tuple[tuple[str, str], str], dict[str, list[int]]] = {}
    for place, token in enumerate(tokens):
        phones = groups.setdefault((token.context, token.speaker), {})
        phones.setdefault(token.phone, []).append(place)
    for (context, who), phones in groups.items():
        others = [
            (name, found)
            for (where, name), found in groups.items()
            if where == context and (name == who) == (speaker == "within")
        ]
        for a in phones:
            for b in phones:
                for name, found in others:
                    if a != b and a in found:
                        yield ((a, b), (who, name)), phones[a], phones[b], found[a]


def _sequence(token: AbxToken, place: int) -> NDArray[Any]:
    row = np.asarray(token.sequence)
    if row.ndim not in (1, 2) or not row.size or not np.isfinite(row).all():
        raise EvaluationError(f"token {place} ({token.phone}) is no sequence of finite numbers")
    if row.ndim == 2 and not (np.linalg.norm(row, axis=1) > 0).all():
        raise EvaluationError(f"token {place} ({token.phone}) has a frame without a direction")
    return row


def _distances(sequences: Sequence[NDArray[Any]]) -> Callable[[int, int], float]:
    known: dict[tuple[int, int], float] = {}

    def distance(first: int, second: int) -> float:
        key = (min(first, second), max(first, second))
        if key not in known:
            known[key] = _warped(_costs(sequences[key[0]], sequences[key[1]]))
        return known[key]

    return distance


def _costs(a: NDArray[Any], b: NDArray[Any]) -> Array:
    if a.ndim == 1:
        return np.asarray(a[:, None] != b[None], dtype=np.float64)
    left, right = (row / np.linalg.norm(row, axis=1, keepdims=True) for row in (a, b))
    return np.asarray(np.arccos(np.clip(left @ right.T, -1.0, 1.0)) / math.pi)


def _warped(costs: Array) -> float:
    """The least mean cost along a path from corner to corner, by the path of least total."""
    rows, columns = costs.shape
    total, length = np.full((rows, columns), math.inf), np.zeros((rows, columns), dtype=int)
    for i in range(rows):
        for j in range(columns):
            before = [(i - 1, j - 1), (i - 1, j), (i, j - 1)]
            best = [(total[p], length[p]) for p in before if p[0] >= 0 and p[1] >= 0]
            so_far, steps = min(best, key=lambda item: item[0]) if best else (0.0, 0)
            total[i, j], length[i, j] = so_far + costs[i, j], steps + 1
    return float(total[-1, -1] / length[-1, -1])


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)

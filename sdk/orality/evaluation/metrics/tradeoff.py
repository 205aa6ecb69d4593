"""Perplexity against diversity over sampling temperatures, and the area under the curve (GSLM).

GSLM publishes the figure, and a notebook instead of a definition; what is computed here: the points
in the order of their temperatures are joined by straight lines. Where the line first reaches the
diversity (VERT) of true text, its perplexity is PPX@oracle-VERT; where it first reaches the
perplexity of true text, its VERT is VERT@oracle-PPX. The area under perplexity over VERT between
these two places is the AUC. Lower is better for all three.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from orality.errors import EvaluationError

TEMPERATURES = tuple(round(0.1 * step, 1) for step in range(3, 15))
"""0.3 to 1.4, where GSLM looks."""


@dataclass(frozen=True, slots=True)
class TemperaturePoint:
    """What was measured at one temperature; `vert` in whatever unit, the same for all."""

    temperature: float
    perplexity: float
    vert: float


@dataclass(frozen=True, slots=True)
class Tradeoff:
    """The three figures; None where the curve does not reach the true text's, `reason` says so."""

    auc: float | None
    perplexity_at_oracle_vert: float | None
    vert_at_oracle_perplexity: float | None
    reason: str = ""


def perplexity_vert_tradeoff(
    points: Sequence[TemperaturePoint], *, oracle_perplexity: float, oracle_vert: float
) -> Tradeoff:
    """GSLM's figures of the trade-off; `oracle_...`: the same metrics of the true continuations.

    Raises EvaluationError for fewer than two points, two of one temperature, or a number that is
    not finite.
    """
    curve = sorted(points, key=lambda point: point.temperature)
    _check(curve, oracle_perplexity, oracle_vert)
    at_vert = _reached([p.vert for p in curve], oracle_vert)
    at_perplexity = _reached([p.perplexity for p in curve], oracle_perplexity)
    missing = [
        f"no temperature reaches the true text's {name} of {value:g}"
        for name, value, place in (
            ("VERT", oracle_vert, at_vert),
            ("perplexity", oracle_perplexity, at_perplexity),
        )
        if place is None
    ]
    area = None
    if at_vert is not None and at_perplexity is not None:
        first, last = sorted((at_vert, at_perplexity))
        inside = [float(k) for k in range(len(curve)) if first < k < last]
        line = [(_at(curve, k).vert, _at(curve, k).perplexity) for k in (first, *inside, last)]
        area = abs(math.fsum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(line)))
    return Tradeoff(
        area,
        None if at_vert is None else _at(curve, at_vert).perplexity,
        None if at_perplexity is None else _at(curve, at_perplexity).vert,
        "; ".join(missing),
    )


def _reached(values: Sequence[float], wanted: float) -> float | None:
    """Where on the line through the values `wanted` is first met, in steps from the first."""
    for place, (a, b) in enumerate(pairwise(values)):
        if min(a, b) <= wanted <= max(a, b):
            return place + (0.0 if a == b else (wanted - a) / (b - a))
    return None


def _at(curve: Sequence[TemperaturePoint], place: float) -> TemperaturePoint:
    start = min(int(place), len(curve) - 2)
    share, a, b = place - start, curve[start], curve[start + 1]
    return TemperaturePoint(
        a.temperature + share * (b.temperature - a.temperature),
        a.perplexity + share * (b.perplexity - a.perplexity),
        a.vert + share * (b.vert - a.vert),
    )


def _check(curve: Sequence[TemperaturePoint], *oracle: float) -> None:
    if len(curve) < 2:
        raise EvaluationError(f"a curve needs two temperatures or more, got {len(curve)}")
    numbers = [x for p in curve for x in (p.temperature, p.perplexity, p.vert)]
    if not all(map(math.isfinite, (*numbers, *oracle))):
        raise EvaluationError("temperatures, perplexities and VERTs are finite numbers")
    if len({point.temperature for point in curve}) < len(curve):
        raise EvaluationError("two points of a curve have the same temperature")

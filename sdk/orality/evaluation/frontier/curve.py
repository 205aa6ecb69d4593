"""What a system gains over another's curve of score against diversity across temperatures.

Sampling a model at a lower temperature raises a judge's score and makes what is said less diverse,
and so does preference training. A system is therefore held against the curve of the baseline:
its points, in the order of their temperatures, joined by straight lines. At the system's own
diversity d the curve has the score c(d); the gain is the system's score minus c(d). Where the curve
passes d more than once, the highest score counts. Nothing is extrapolated: beyond the curve's range
the nearest end of it counts, and `outside` says on which side the system is.

Interval and p-value come from one bootstrap that draws the same clusters (prompts) for the system
and for every temperature, and draws the curve and both diversities with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from orality.errors import EvaluationError
from orality.evaluation.statistics.intervals import Interval, bootstrap_p, expanded_tails

Array = NDArray[np.float64]
Outside = Literal["", "below", "above"]
_CHUNK = 500  # draws held at once


@dataclass(frozen=True, slots=True, eq=False)
class ClusterPoint:
    """One system at one temperature, by cluster; all points have the same clusters in one order.

    `scores`: the mean score of each cluster, shape (clusters,). `diversity`: rows whose sums over
    clusters make the diversity, shape (clusters, columns).
    """

    scores: Array
    diversity: Array


@dataclass(frozen=True, slots=True)
class Gain:
    """`difference` = the system's score - `curve`, the baseline's score at the same diversity.

    `diversity`: the system's. `outside`: whether that is `below` or `above` all of the curve's,
    whose end then stands in. `ci` is None with fewer than two clusters, and `p_value` is 1.
    """

    difference: float
    curve: float
    diversity: float
    ci: Interval | None
    p_value: float
    outside: Outside
    n: int


def gain_over_curve(
    own: ClusterPoint,
    curve: Sequence[ClusterPoint],
    diversity: Callable[[Array], Array],
    *,
    level: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
) -> Gain:
    """The gain of a system over a curve, whose points are in the order of their temperatures.

    `diversity` makes the measure of the columns' sums, shape (columns, ...) to (...). Raises
    EvaluationError without a point or cluster, or for points that do not share their clusters.
    """
    count = len(own.scores)
    if not curve or not count:
        raise EvaluationError("a gain needs a curve of one point or more, and one prompt or more")
    points = [own, *curve]
    if any(len(p.scores) != count or len(p.diversity) != count for p in points):
        raise EvaluationError("all points of a gain are measured on the same prompts")
    scores = np.stack([p.scores for p in points])  # (points, clusters)
    columns = np.stack([p.diversity for p in points])  # (points, clusters, columns)
    if not (np.isfinite(scores).all() and np.isfinite(columns).all()):
        raise EvaluationError("a gain takes finite numbers")

    def values(times: Array) -> tuple[Array, Array, Array]:
        """Gain, curve and own diversity of each draw; `times`: shape (draws, clusters)."""
        height = scores @ times.T / count  # (points, draws)
        summed = np.einsum("dc,pcj->jpd", times, columns)
        place = diversity(summed)  # (points, draws)
        at = curve_score(place[0], place[1:], height[1:])
        return height[0] - at, at, place[0]

    whole = np.ones((1, count))
    difference, at, mine = (float(value[0]) for value in values(whole))
    places = diversity(np.einsum("dc,pcj->jpd", whole, columns))[1:, 0]
    outside: Outside = "below" if mine < places.min() else "above" if mine > places.max() else ""
    if count < 2:
        return Gain(difference, at, mine, None, 1.0, outside, count)
    rng, drawn = np.random.default_rng(seed), []
    for start in range(0, resamples, _CHUNK):
        size = min(_CHUNK, resamples - start)
        times = rng.multinomial(count, np.full(count, 1 / count), size=size)
        drawn.append(values(times.astype(np.float64))[0])
    draws = np.concatenate(drawn)
    low, high = np.quantile(draws, expanded_tails(count, level))
    ci = Interval("paired-cluster-bootstrap", level, float(low), float(high))
    return Gain(difference, at, mine, ci, bootstrap_p(draws, count), outside, count)


def curve_score(diversity: Array, places: Array, scores: Array) -> Array:
    """The curve's score at a diversity, the highest where it passes there more than once.

    `diversity`: shape (draws,); `places` and `scores`: the curve's points in the order of their
    temperatures, shape (points, draws). Beyond the curve, the score of its nearest end.
    """
    at = np.clip(diversity, places.min(axis=0), places.max(axis=0))
    best = np.where(places == at, scores, -np.inf).max(axis=0)
    for (a, b), (first, last) in zip(pairwise(places), pairwise(scores), strict=True):
        inside = (np.minimum(a, b) < at) & (at < np.maximum(a, b))
        share = (at - a) / np.where(inside, b - a, 1.0)
        best = np.where(inside, np.maximum(best, first + share * (last - first)), best)
    return np.asarray(best)

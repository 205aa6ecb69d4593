"""From a raw likelihood measure to the scale 1..5: a monotone curve with its provenance."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from orality import CheckpointError, Verdict
from orality.checkpoints import read_json
from orality_judge_likelihood import SCALE


@dataclass(frozen=True, slots=True)
class Calibration:
    """A piecewise linear curve through `points` (raw, score), flat beyond its ends.

    `fluency`: the weight of the unconditional log-likelihood in raw. `provenance`: the model, its
    sha256, the examples and what the curve separates on them.
    """

    fluency: float
    points: tuple[tuple[float, float], ...]
    provenance: Mapping[str, object] = field(default_factory=dict)

    def raw(self, conditional: float, unconditional: float) -> float:
        """From mean log-probabilities per token with and without the prompt.

        The pointwise mutual information with the prompt, plus `fluency` times how likely the text
        is by itself: information alone rewards whatever the prompt makes a little less unlikely.
        """
        return (conditional - unconditional) + self.fluency * unconditional

    def score(self, raw: float) -> float:
        """The score of a raw value: monotone, inside 1..5."""
        xs = [x for x, _ in self.points]
        right = bisect_right(xs, raw)
        if right == 0:
            return self.points[0][1]
        if right == len(xs):
            return self.points[-1][1]
        (x0, y0), (x1, y1) = self.points[right - 1], self.points[right]
        return y0 + (y1 - y0) * (raw - x0) / (x1 - x0)


def read(path: Path) -> Calibration:
    """A calibration file; CheckpointError if it is not a rising curve from 1 to 5."""
    try:
        content = read_json(path)
        points = tuple((float(x), float(y)) for x, y in content["points"])
        found = Calibration(float(content["fluency"]), points, content.get("provenance", {}))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is not a calibration: {error!r}") from error
    xs, ys = [x for x, _ in points], [y for _, y in points]
    rising = len(points) > 1 and sorted(set(xs)) == xs and sorted(ys) == ys
    if not rising or (ys[0], ys[-1]) != SCALE or not np.isfinite(xs).all():
        raise CheckpointError(f"{path} has the points {points}, wanted them to rise from 1 to 5")
    return found


def write(path: Path, calibration: Calibration) -> None:
    """Write a calibration as JSON."""
    path.write_text(json.dumps(asdict(calibration), indent=2) + "\n")


def fit(
    true: Sequence[float],
    mismatched: Sequence[float],
    garbage: Sequence[float],
    *,
    fluency: float,
    provenance: Mapping[str, object],
) -> Calibration:
    """The curve through quantiles of raw values of three kinds of continuation.

    1 is the median of garbage (words in disorder or wrong), 2 its upper fifth; 3 is the middle of
    fluent endings of other stories; 4 is the median of true endings, 5 their upper fifth. So the
    thresholds (1, 3) and (2, 4) part garbage from fluent, and the worse from the true.
    """
    xs = [
        float(np.quantile(garbage, 0.5)),
        float(np.quantile(garbage, 0.8)),
        float(np.quantile(mismatched, 0.5)),
        float(np.quantile(true, 0.5)),
        float(np.quantile(true, 0.8)),
    ]
    if sorted(set(xs)) != xs:
        raise CheckpointError(
            f"the raw values {[round(x, 3) for x in xs]} at the scores 1 to 5 do not rise: this "
            "text model cannot tell true endings from wrong ones; choose another, or another weight"
        )
    points = tuple((round(x, 4), float(y)) for x, y in zip(xs, range(1, 6), strict=True))
    return Calibration(fluency, points, provenance)


def area_under_curve(better: Sequence[float], worse: Sequence[float]) -> float:
    """The chance that one of `better` exceeds one of `worse`, ties counting half."""
    first, second = np.asarray(better)[:, None], np.asarray(worse)[None, :]
    return float(((first > second) + 0.5 * (first == second)).mean())


def no_speech() -> Verdict:
    """The verdict on a continuation in which nothing was heard."""
    return Verdict(SCALE[0], rationale="no speech", tokens=0.0)

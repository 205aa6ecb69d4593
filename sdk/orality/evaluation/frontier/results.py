"""What `results.json` holds about temperatures: points, gains over a curve, paired comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orality.evaluation.frontier.curve import Outside
from orality.evaluation.statistics.intervals import Interval


@dataclass(frozen=True, slots=True)
class PointValue:
    """A figure of one system at one temperature; `n` items were counted, `n_failed` could not."""

    value: float
    ci: Interval | None
    n: int
    n_failed: int = 0


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """One system sampled at one temperature; `values` by metric id, as in the main table."""

    system: str
    temperature: float
    values: Mapping[str, PointValue]


@dataclass(frozen=True, slots=True)
class FrontierGain:
    """A system's score minus the baseline's at the same diversity (see `frontier.curve`).

    `score` and `diversity` are metric ids, `at` is the system's diversity, `curve` the baseline's
    score there. `p_holm`: over all systems with this score and diversity. `n` prompts.
    """

    system: str
    temperature: float
    score: str
    diversity: str
    at: float
    curve: float
    difference: float
    ci: Interval | None
    p_value: float
    p_holm: float
    outside: Outside
    n: int


@dataclass(frozen=True, slots=True)
class TemperatureComparison:
    """A system's score minus the baseline's at the temperature `against`, paired by prompt.

    `best`: there the baseline's score is the highest. `p_holm`: over all systems with this score
    and temperature.
    """

    system: str
    temperature: float
    score: str
    against: float
    best: bool
    difference: float
    ci: Interval | None
    p_value: float
    p_holm: float
    n: int


@dataclass(frozen=True, slots=True)
class Frontier:
    """Systems across temperatures; `temperature` is that of the main table."""

    baseline: str
    temperature: float
    points: Sequence[FrontierPoint]
    gains: Sequence[FrontierGain]
    comparisons: Sequence[TemperatureComparison]

    @property
    def scores(self) -> list[str]:
        """Metric ids of the scores that are compared, in order."""
        compared = [item.score for item in self.comparisons]
        return list(dict.fromkeys([*compared, *(gain.score for gain in self.gains)]))

    @property
    def diversities(self) -> list[str]:
        """Metric ids of what gains are taken at equal values of, in order."""
        return list(dict.fromkeys(gain.diversity for gain in self.gains))

    @property
    def curve(self) -> list[FrontierPoint]:
        """The baseline's points, coldest first."""
        mine = [point for point in self.points if point.system == self.baseline]
        return sorted(mine, key=lambda point: point.temperature)

    def gain(
        self, score: str, diversity: str, system: str, temperature: float
    ) -> FrontierGain | None:
        """A system's gain at equal diversity, or None if there is none."""
        wanted = (score, diversity, system, temperature)
        for item in self.gains:
            if (item.score, item.diversity, item.system, item.temperature) == wanted:
                return item
        return None

    def against_best(
        self, score: str, system: str, temperature: float
    ) -> TemperatureComparison | None:
        """A system against the baseline's best temperature, or None if it was not compared."""
        wanted = (score, system, temperature)
        for item in self.comparisons:
            if item.best and (item.score, item.system, item.temperature) == wanted:
                return item
        return None


def read_frontier(data: Mapping[str, Any] | None) -> Frontier | None:
    """The section of `results.json`, None where it has none."""
    if data is None:
        return None
    return Frontier(
        data["baseline"],
        data["temperature"],
        [
            FrontierPoint(
                point["system"],
                point["temperature"],
                {name: PointValue(**_typed(value)) for name, value in point["values"].items()},
            )
            for point in data["points"]
        ],
        [FrontierGain(**_typed(item)) for item in data["gains"]],
        [TemperatureComparison(**_typed(item)) for item in data["comparisons"]],
    )


def _typed(item: Mapping[str, Any]) -> dict[str, Any]:
    return {**item, "ci": None if item["ci"] is None else Interval(**item["ci"])}

"""How a training went: quantities over optimizer steps, as its log has them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from orality.report.data.run_data import Record, RunData


@dataclass(frozen=True, slots=True)
class Quantity:
    """Something that a training logs. `level`: a value worth a line, `limits`: of its axis."""

    title: str
    key: str
    limits: tuple[float, float] | None = None
    level: float | None = None
    note: str = ""


QUANTITIES = (
    Quantity("Loss", "loss"),
    Quantity("Reward accuracy", "reward_accuracy", (0.0, 1.05), 0.5, "Dashed: chance."),
    Quantity(
        "Reward margin", "reward_margin", None, 0.0, "Dashed: chosen and rejected rewarded alike."
    ),
)


@dataclass(frozen=True, slots=True)
class Training:
    """The rows of one training's log, under a name."""

    name: str
    metrics: Sequence[Record]

    def points(self, key: str) -> list[tuple[float, float]]:
        """(step, value) of every row that has a finite value."""
        return [
            (row["step"], float(row[key]))
            for row in self.metrics
            if isinstance(row.get(key), int | float) and math.isfinite(row[key])
        ]

    def has(self, key: str) -> bool:
        """Whether the quantity was logged, in training or on dev pairs."""
        return bool(self.points(key) or self.points(f"dev_{key}"))


def preference_trainings(run: RunData) -> list[Training]:
    """The rounds' trainings and the baselines', where pairs were learned from."""
    named = [Training(stage.title, stage.metrics) for stage in run.rounds]
    named += [
        Training(f"Baseline: {stage.title.replace('-', ' ')}", stage.metrics)
        for stage in run.baselines
    ]
    return [training for training in named if training.has("reward_margin")]

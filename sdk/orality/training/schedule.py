"""How long a training is, what a step sees, and how fast it learns: pure functions of the step."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from orality.errors import TrainingError


def steps_per_epoch(num_items: int, per_step: int) -> int:
    """The last step of an epoch may be short; no item comes twice in one step."""
    return math.ceil(num_items / per_step)


def total_steps(num_items: int, per_step: int, *, steps: int | None, epochs: float | None) -> int:
    """`steps` as it is, or as many as make `epochs`; one epoch if neither is given."""
    if steps is not None and epochs is not None:
        raise TrainingError(f"got steps={steps} and epochs={epochs}; give one of them")
    if steps is None:
        passes = 1.0 if epochs is None else epochs
        steps = math.ceil(passes * steps_per_epoch(num_items, per_step))
    if steps < 1:
        raise TrainingError(f"got {steps} training steps; at least 1 is needed")
    return steps


def items_of_step(num_items: int, per_step: int, *, step: int, seed: int) -> Sequence[int]:
    """Indices of the items that step `step` (from 0) learns from: a shuffle per epoch, in turn."""
    epoch, part = divmod(step, steps_per_epoch(num_items, per_step))
    order = np.random.default_rng([seed, epoch]).permutation(num_items)
    return [int(index) for index in order[part * per_step : (part + 1) * per_step]]


def learning_rate(step: int, *, peak: float, warmup_steps: int, total: int) -> float:
    """Linear up to `peak` over `warmup_steps`, then linear down, to reach 0 just after the end."""
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    return peak * (total - step) / max(1, total - warmup_steps)

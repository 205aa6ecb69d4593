"""How long a training is, what a step sees, and how fast it learns: pure functions of the step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import count

import numpy as np

from orality.errors import TrainingError
from orality.training.rows.packing import fill_rows


def epoch(sizes: tuple[int, ...], per_step: int, *, number: int, seed: int) -> list[list[int]]:
    """The steps of one epoch as indices into `sizes`: every group once, in another order each time.

    `sizes`: how many pairs each group holds. Groups are not split: a step holds `per_step` pairs,
    or less where the next group is too large for what is left, or more where one group alone is.
    """
    steps: list[list[int]] = []
    room = 0
    for index in np.random.default_rng([seed, number]).permutation(len(sizes)):
        if not steps or sizes[index] > room:
            steps.append([])
            room = per_step
        steps[-1].append(int(index))
        room -= sizes[index]
    return steps


def total_steps(
    sizes: tuple[int, ...], per_step: int, *, seed: int, steps: int | None, epochs: float | None
) -> int:
    """`steps` as it is, or as many as make `epochs`; one epoch if neither is given."""
    if steps is not None and epochs is not None:
        raise TrainingError(f"got steps={steps} and epochs={epochs}; give one of them")
    if steps is None:
        passes = 1.0 if epochs is None else epochs
        whole, part = divmod(passes, 1)
        counts = [
            len(epoch(sizes, per_step, number=number, seed=seed))
            for number in range(int(whole) + (part > 0))
        ]
        steps = sum(counts[: int(whole)]) + (math.ceil(part * counts[-1]) if part else 0)
    if steps < 1:
        raise TrainingError(f"got {steps} training steps; at least 1 is needed")
    return steps


def steps_from(
    sizes: tuple[int, ...], per_step: int, *, first: int, seed: int
) -> Iterator[tuple[int, list[int]]]:
    """What step `first` (from 0) and all after it learn from, without end: the number of the epoch
    and indices of groups."""
    for number in count():
        steps = epoch(sizes, per_step, number=number, seed=seed)
        yield from ((number, step) for step in steps[first:])
        first = max(0, first - len(steps))


def shares(tokens: Sequence[int], processes: int) -> list[list[int]]:
    """Indices into `tokens` for each process: groups whole, tokens about even, the same always."""
    found: list[list[int]] = [[] for _ in range(processes)]
    load = [0] * processes
    for index in sorted(range(len(tokens)), key=lambda index: (-tokens[index], index)):
        least = load.index(min(load))
        found[least].append(index)
        load[least] += tokens[index]
    return found


def rows_of(
    tokens: Sequence[int], max_tokens: int, *, processes: int, process: int
) -> list[tuple[list[int], bool]]:
    """What one of the processes reads: rows of indices into `tokens`, and whether each counts.

    Every process gets as many rows, because sharded weights are gathered by all of them at once;
    one that has less to do reads its smallest group again, for nothing.
    """
    parts = shares(tokens, processes)
    rows = [
        [[part[index] for index in row] for row in fill_rows([tokens[i] for i in part], max_tokens)]
        for part in parts
    ]
    own = [(row, True) for row in rows[process]]
    smallest = min(range(len(tokens)), key=lambda index: tokens[index])
    idle = max(map(len, rows)) - len(own)
    return own + [([smallest], False)] * idle


def learning_rate(step: int, *, peak: float, warmup_steps: int, total: int) -> float:
    """Linear up to `peak` over `warmup_steps`, then linear down, to reach 0 just after the end."""
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    return peak * (total - step) / max(1, total - warmup_steps)

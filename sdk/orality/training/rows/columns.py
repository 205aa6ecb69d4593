"""Figures for everything that items hold, over rows and processes, without gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from orality.progress import Progress, silent
from orality.training.devices.precision import autocast
from orality.training.log_probs import Score
from orality.training.method import ItemT
from orality.training.schedule import rows_of


@torch.no_grad()
def compute_columns(
    accelerator: Any,
    score: Score,
    items: Sequence[ItemT],
    compute: Callable[[Sequence[ItemT], Tensor], Mapping[str, Tensor]],
    *,
    columns: Sequence[str],
    max_tokens: int,
    precision: str,
    stage: str = "",
    progress: Progress = silent,
) -> dict[str, Tensor]:
    """What `compute(items, sums)` gives for each id, in the items' order: on the CPU, (ids,).

    Each process takes its share of the items; every process gets the whole result.
    """
    rows = rows_of(
        [item.group.tokens for item in items], max_tokens,
        processes=accelerator.num_processes, process=accelerator.process_index,
    )  # fmt: skip
    own = sum(len(row) for row, counts in rows if counts)
    parts: list[tuple[list[int], Mapping[str, Tensor]]] = []
    done = 0
    for row, counts in rows:
        with autocast(accelerator.device, precision):
            sums = score([items[index].group for index in row])
        if counts:
            parts.append((row, compute([items[index] for index in row], sums)))
            done += len(row)
            progress(stage, done, own)
    return share_columns(accelerator, parts, items, columns=columns)


def share_columns(
    accelerator: Any,
    parts: Sequence[tuple[Sequence[int], Mapping[str, Tensor]]],
    items: Sequence[ItemT],
    *,
    columns: Sequence[str],
) -> dict[str, Tensor]:
    """Put values of some items, computed by any process, into whole columns on the CPU."""
    ends = list(accumulate(len(item.ids) for item in items))
    table = torch.zeros(len(columns), ends[-1], dtype=torch.float64)
    for indices, values in parts:
        places = [place for i in indices for place in range(ends[i] - len(items[i].ids), ends[i])]
        for row, name in enumerate(columns):
            table[row, places] = values[name].detach().double().cpu()
    if accelerator.num_processes > 1:
        table = accelerator.reduce(table.to(accelerator.device), reduction="sum").cpu()
    return dict(zip(columns, table, strict=True))

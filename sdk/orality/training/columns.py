"""Per-item figures over many items, in micro-batches and over all processes, without gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from orality.progress import Progress, silent
from orality.training.devices import autocast
from orality.training.log_probs import micro_batches

ItemT = TypeVar("ItemT")


@torch.no_grad()
def compute_columns(
    accelerator: Any,
    module: nn.Module,
    items: Sequence[ItemT],
    compute: Callable[[nn.Module, Sequence[ItemT], torch.device], Mapping[str, Tensor]],
    *,
    columns: Sequence[str],
    length: Callable[[ItemT], int],
    micro_batch: int,
    precision: str,
    stage: str = "",
    progress: Progress = silent,
) -> dict[str, Tensor]:
    """What `compute` gives for each item, in the items' order: float32 on the CPU, (items,).

    Each process takes its share of the items; every process gets the whole result.
    """
    own = list(range(accelerator.process_index, len(items), accelerator.num_processes))
    parts: list[tuple[list[int], Mapping[str, Tensor]]] = []
    done = 0
    mine = [items[index] for index in own]
    for group in micro_batches(mine, micro_batch, length=length):
        with autocast(accelerator.device, precision):
            values = compute(module, [mine[index] for index in group], accelerator.device)
        parts.append(([own[index] for index in group], values))
        done += len(group)
        progress(stage, done, len(mine))
    return share_columns(accelerator, parts, columns=columns, total=len(items))


def share_columns(
    accelerator: Any,
    parts: Sequence[tuple[Sequence[int], Mapping[str, Tensor]]],
    *,
    columns: Sequence[str],
    total: int,
) -> dict[str, Tensor]:
    """Put values computed at some indices, by any process, into whole columns on the CPU."""
    table = torch.zeros(len(columns), total, device=accelerator.device)
    for indices, values in parts:
        where = torch.tensor(indices, device=accelerator.device)
        for row, name in enumerate(columns):
            table[row, where] = values[name].detach().to(table.dtype)
    table = accelerator.reduce(table, reduction="sum").cpu()
    return dict(zip(columns, table, strict=True))

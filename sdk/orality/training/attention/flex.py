"""PyTorch's flex attention: a block mask made once a row, compiled, on CUDA devices."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from orality.errors import TrainingError
from orality.training.attention.plan import RowAttention
from orality.training.rows.packing import Layout

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask


def flex(layout: Layout, device: torch.device) -> RowAttention:
    """Blocks that hide nothing or everything cost no mask. Raises TrainingError off CUDA, where
    flex attention has no backward pass."""
    if device.type != "cuda":
        raise TrainingError(
            f"attention 'flex' cannot train on {device.type}: PyTorch has no backward pass for it "
            "there; use 'auto' or 'sdpa'"
        )
    mask = block_mask(layout, device)
    kernel = _compiled()

    def attend(query: Tensor, key: Tensor, value: Tensor, *, scaling: float) -> Tensor:
        output: Tensor = kernel(
            query[None], key[None], value[None], block_mask=mask, scale=scaling,
            enable_gqa=query.shape[0] != key.shape[0],
        )  # fmt: skip
        return output[0].transpose(0, 1)

    return attend


def block_mask(layout: Layout, device: torch.device) -> BlockMask:
    """Flex attention's block mask of a row."""
    from torch.nn.attention.flex_attention import create_block_mask

    group = torch.zeros(layout.tokens, dtype=torch.int64)
    branch_of = torch.full((layout.tokens,), -1)  # -1: a prompt's token, which all may see
    number = -1
    for index, branch in enumerate(layout.branches):
        number += branch.leads
        group[slice(*branch.prompt)] = number
        group[slice(*branch.own)] = number
        branch_of[slice(*branch.own)] = index
    group, branch_of = group.to(device), branch_of.to(device)

    def may_see(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        related = (branch_of[key] == -1) | (branch_of[key] == branch_of[query])
        return (group[key] == group[query]) & related & (key <= query)

    return create_block_mask(
        may_see, B=None, H=None, Q_LEN=layout.tokens, KV_LEN=layout.tokens, device=str(device)
    )


@cache
def _compiled() -> Any:
    from torch.nn.attention.flex_attention import flex_attention

    # Rows differ in length; without dynamic shapes each would be compiled anew.
    return torch.compile(flex_attention, dynamic=True)

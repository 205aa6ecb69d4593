"""xformers' memory-efficient attention: one call for a whole row, on CUDA devices."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from orality.errors import TrainingError
from orality.training.attention.plan import RowAttention
from orality.training.rows.packing import Branch, Layout


def xformers(layout: Layout, device: torch.device) -> RowAttention:
    """Blocks of queries, causal from the bottom right, over keys gathered as `prompt, own`.

    Raises TrainingError where xformers is missing or the device is no CUDA device.
    """
    try:
        from xformers.ops import memory_efficient_attention
    except ImportError as error:
        raise TrainingError(
            "attention 'xformers' needs the package xformers: pip install 'orality[xformers]', or "
            "use 'auto'"
        ) from error
    if device.type != "cuda":
        raise TrainingError(
            f"attention 'xformers' has kernels for CUDA devices only, the model is on "
            f"{device.type}; use 'auto' or 'sdpa'"
        )
    bias, keys = block_bias(layout, device)

    def attend(query: Tensor, key: Tensor, value: Tensor, *, scaling: float) -> Tensor:
        shared = query.shape[0] // key.shape[0]
        # (tokens, heads, head size) each; a prompt's keys stand before each of its continuations
        rows = query.transpose(0, 1)
        gathered = [
            part.transpose(0, 1).index_select(0, keys).repeat_interleave(shared, dim=1)
            for part in (key, value)
        ]
        output: Tensor = memory_efficient_attention(
            rows[None], gathered[0][None], gathered[1][None], attn_bias=bias, scale=scaling
        )
        return output[0]

    return attend


def block_bias(layout: Layout, device: torch.device) -> tuple[Any, Tensor]:
    """xformers' bias for a row, and the places that its keys are gathered from, int64 (keys,).

    The queries are the row as it is: `prompt + first` is one block, every further continuation
    one more, its keys being those of `prompt + own`.
    """
    from xformers.ops.fmha.attn_bias import BlockDiagonalCausalFromBottomRightMask

    queries: list[int] = []
    keys: list[Tensor] = []
    for branch in layout.branches:
        own = branch.own[1] - branch.own[0]
        count = branch.length if branch.leads else own
        if count:  # a continuation of one unit reads nothing but its prompt
            queries.append(count)
            keys.append(torch.cat([torch.arange(*branch.prompt), torch.arange(*branch.own)]))
    bias = BlockDiagonalCausalFromBottomRightMask.from_seqlens(
        q_seqlen=queries, kv_seqlen=[len(places) for places in keys], device=device
    )
    return bias, torch.cat(keys).to(device)


def has_kernels(device: torch.device) -> bool:
    """Whether xformers is installed and has kernels for the device, forward and backward."""
    try:
        from xformers.ops import fmha
    except ImportError:
        return False
    layout = Layout(4, (Branch((0, 2), (2, 3), leads=True), Branch((0, 2), (3, 4), leads=False)))
    bias, keys = block_bias(layout, device)
    query = torch.empty(
        1, layout.tokens, 1, 64, dtype=torch.bfloat16, device=device, requires_grad=True
    )
    key = query.detach()[:, keys].requires_grad_()
    row = fmha.Inputs(query=query, key=key, value=key, attn_bias=bias)
    return all(
        any(kernel.supports(row) for kernel in kernels)
        for kernels in (fmha.ALL_FW_OPS, fmha.ALL_BW_OPS)
    )

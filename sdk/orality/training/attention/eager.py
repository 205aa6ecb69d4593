"""Attention written out as matrix products, each continuation alone with its prompt.

No query is compared with what it cannot see but for the triangle above the diagonal. On CPUs this
is the fastest backend in bfloat16, whose matrix products outrun the fused kernel there. Its
backward is written out too: autograd's would keep the scores in float32 beside those in bfloat16,
and copy every piece once more.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from orality.training.attention.plan import RowAttention
from orality.training.rows.packing import Branch, Layout


def eager(layout: Layout, device: torch.device) -> RowAttention:
    """softmax(q k / scale + mask) v for each branch, the softmax in float32 or better."""
    # A continuation that reads nothing (one unit, which its prompt predicts) asks nothing.
    branches = tuple(b for b in layout.branches if b.leads or b.own[0] < b.own[1])
    longest = max(branch.length for branch in branches)
    hidden = torch.full((longest, longest), float("-inf"), device=device).triu(1)

    def attend(query: Tensor, key: Tensor, value: Tensor, *, scaling: float) -> Tensor:
        shared = query.shape[0] // key.shape[0]
        if shared > 1:
            key, value = (part.repeat_interleave(shared, dim=0) for part in (key, value))
        mask = hidden.to(query.dtype)
        output: Tensor = _Attention.apply(query, key, value, mask, branches, scaling)  # type: ignore[no-untyped-call]
        return output

    return attend


class _Attention(torch.autograd.Function):
    """Attention of all branches; queries, keys and values are (heads, tokens, head size)."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor,
        branches: tuple[Branch, ...],
        scaling: float,
    ) -> Tensor:
        heads, tokens, size = value.shape
        output = value.new_empty(tokens, heads, size)
        kept = []
        with torch.autocast(query.device.type, enabled=False):
            for branch in branches:
                asks = _asks(branch)
                own_query = _gather(query, asks)
                own_key, own_value = (_gather(part, _reads(branch)) for part in (key, value))
                first = branch.length - own_query.shape[1]
                scores = torch.baddbmm(
                    mask[first : branch.length, : branch.length],
                    own_query,
                    own_key.transpose(1, 2),
                    alpha=scaling,
                )  # (heads, queries, keys)
                precise = torch.promote_types(scores.dtype, torch.float32)
                weights = scores.softmax(dim=-1, dtype=precise).to(value.dtype)
                _scatter(torch.bmm(weights, own_value), asks, into=output.transpose(0, 1))
                kept.append(weights)
        ctx.save_for_backward(query, key, value, *kept)
        ctx.branches, ctx.scaling = branches, scaling
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, *kept = ctx.saved_tensors
        heads, tokens, size = value.shape
        of_query, of_key, of_value = (
            value.new_zeros(tokens, heads, size).transpose(0, 1) for _ in range(3)
        )
        gradient = gradient.transpose(0, 1)
        with torch.autocast(value.device.type, enabled=False):
            for branch, weights in zip(ctx.branches, kept, strict=True):
                asks, reads = _asks(branch), _reads(branch)
                own_query, own_gradient = _gather(query, asks), _gather(gradient, asks)
                own_key, own_value = _gather(key, reads), _gather(value, reads)
                of_scores = torch._softmax_backward_data(
                    torch.bmm(own_gradient, own_value.transpose(1, 2)), weights, -1, weights.dtype
                )
                own = torch.bmm(of_scores, own_key)
                _scatter(own, asks, into=of_query, scale=ctx.scaling)
                # A prompt's keys and values serve each of its continuations: sums.
                own = torch.bmm(of_scores.transpose(1, 2), own_query)
                _scatter(own, reads, into=of_key, scale=ctx.scaling, add=True)
                own = torch.bmm(weights.transpose(1, 2), own_gradient)
                _scatter(own, reads, into=of_value, add=True)
        return of_query, of_key, of_value, None, None, None


Pieces = tuple[tuple[int, int], ...]


def _reads(branch: Branch) -> Pieces:
    return (branch.prompt, branch.own)


def _asks(branch: Branch) -> Pieces:
    return (branch.prompt, branch.own) if branch.leads else (branch.own,)


def _gather(part: Tensor, pieces: Pieces) -> Tensor:
    """The pieces of a row as one; contiguous, which batched products are fastest on."""
    return torch.cat([part[:, begin:end] for begin, end in pieces], dim=1)


def _scatter(
    part: Tensor, pieces: Pieces, *, into: Tensor, scale: float = 1.0, add: bool = False
) -> None:
    sizes = [end - begin for begin, end in pieces]
    for (begin, end), own in zip(pieces, torch.split(part, sizes, dim=1), strict=True):
        place = into[:, begin:end]
        if add:
            place.add_(own, alpha=scale)
        else:
            torch.mul(own, scale, out=place)

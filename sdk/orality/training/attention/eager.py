"""Attention written out as matrix products, each continuation alone with its prompt.

No query is compared with what it cannot see but for the triangle above the diagonal. On CPUs this
is the fastest backend in bfloat16, whose matrix products outrun the fused kernel there.
"""

from __future__ import annotations

import torch
from torch import Tensor

from orality.training.attention.plan import RowAttention
from orality.training.packing import Layout


def eager(layout: Layout, device: torch.device) -> RowAttention:
    """softmax(q k / scale + mask) v for each branch, the softmax in float32 or better."""
    # The row in pieces: every prompt, and what each continuation has of its own.
    pieces = sorted({piece for branch in layout.branches for piece in (branch.prompt, branch.own)})
    pieces = [piece for piece in pieces if piece[0] < piece[1]]
    sizes = [end - begin for begin, end in pieces]
    index = {piece: number for number, piece in enumerate(pieces)}
    longest = max(branch.length for branch in layout.branches)
    hidden = torch.full((longest, longest), float("-inf"), device=device).triu(1)

    def attend(query: Tensor, key: Tensor, value: Tensor, *, scaling: float) -> Tensor:
        shared = query.shape[0] // key.shape[0]
        if shared > 1:
            key, value = (part.repeat_interleave(shared, dim=0) for part in (key, value))
        queries, keys, values = (torch.split(part, sizes, dim=1) for part in (query, key, value))
        mask = hidden.to(query.dtype)
        outputs: dict[int, Tensor] = {}
        for branch in layout.branches:
            reads = [index[piece] for piece in (branch.prompt, branch.own) if piece in index]
            asks = reads if branch.leads else reads[1:]
            if not asks:  # one unit, which the prompt alone predicts
                continue
            own_query, own_key, own_value = (
                torch.cat([parts[number] for number in numbers], dim=1)
                for parts, numbers in ((queries, asks), (keys, reads), (values, reads))
            )
            scores = torch.baddbmm(
                mask[branch.length - own_query.shape[1] : branch.length, : branch.length],
                own_query,
                own_key.transpose(1, 2),
                alpha=scaling,
            )  # (heads, queries, keys)
            precise = torch.promote_types(scores.dtype, torch.float32)
            weights = scores.softmax(dim=-1, dtype=precise).to(own_value.dtype)
            found = torch.split(
                torch.bmm(weights, own_value), [sizes[number] for number in asks], dim=1
            )
            outputs.update(zip(asks, found, strict=True))
        return torch.cat([outputs[number] for number in range(len(sizes))], dim=1).transpose(0, 1)

    return attend

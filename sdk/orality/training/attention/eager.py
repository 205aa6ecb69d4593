"""Attention written out, with the explicit mask: slow, and what the other backends are held to."""

from __future__ import annotations

import torch
from torch import Tensor

from orality.training.attention.plan import RowAttention, visible
from orality.training.packing import Layout


def eager(layout: Layout, device: torch.device) -> RowAttention:
    """softmax(q k / scale + mask) v, all heads at once, the softmax in float32 or better."""
    mask = visible(layout).to(device)

    def attend(query: Tensor, key: Tensor, value: Tensor, *, scaling: float) -> Tensor:
        shared = query.shape[0] // key.shape[0]
        key, value = (part.repeat_interleave(shared, dim=0) for part in (key, value))
        scores = (query @ key.transpose(1, 2)) * scaling  # (heads, tokens, tokens)
        scores = scores.masked_fill(~mask, float("-inf"))
        precise = torch.promote_types(scores.dtype, torch.float32)
        weights = scores.softmax(dim=-1, dtype=precise).to(value.dtype)
        return (weights @ value).transpose(0, 1)

    return attend

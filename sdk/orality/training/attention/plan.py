"""What an attention backend is: a function that prepares a row's attention once, for all layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from orality.training.rows.packing import Layout


class RowAttention(Protocol):
    """Attention over one packed row; each token sees its prompt and its own continuation so far."""

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, *, scaling: float) -> Tensor:
        """`query`: (heads, tokens, head size); `key`, `value`: (key heads, tokens, head size).

        Key heads divide heads. Returns (tokens, heads, head size).
        """
        ...


Backend = Callable[[Layout, torch.device], RowAttention]
"""Prepares what the layers of a model share for one row: index tables, a bias, a block mask."""


def visible(layout: Layout) -> Tensor:
    """The explicit mask that every backend has to honour: bool (tokens, tokens), query by key."""
    mask = torch.zeros(layout.tokens, layout.tokens, dtype=torch.bool)
    for branch in layout.branches:
        first, last = branch.prompt
        begin, end = branch.own
        size, own = last - first, end - begin
        mask[first:last, first:last] = torch.ones(size, size, dtype=torch.bool).tril()
        mask[begin:end, first:last] = True
        mask[begin:end, begin:end] = torch.ones(own, own, dtype=torch.bool).tril()
    return mask

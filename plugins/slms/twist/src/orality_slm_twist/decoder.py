"""A decoder-only transformer in its barest form, for prompts and for one more unit of many rows.

The same sums as transformers' own forward, without what it does around each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from orality_slm_twist.linear import Linear

Rotation = tuple[Tensor, Tensor]
"""Cosines and sines, shape (rows, 1, head size)."""

Attend = Callable[[int, Tensor, Tensor], Tensor]
"""The layer's number, queries (rows, heads, size) and the rows' own keys beside their values
(rows, 2, kv heads, size), to what attention finds (rows, heads * size)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One block. `pre_norm`: norms stand before attention and feed-forward, else after the sums.

    `qkv`: queries, keys and values side by side. `mlp`: rows, and what is added to the result.
    """

    qkv: Linear
    out: Linear
    mlp: Callable[[Tensor, Tensor], Tensor]
    norm_attention: Callable[[Tensor], Tensor]
    norm_mlp: Callable[[Tensor], Tensor]
    pre_norm: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """A whole model. `embed`: token ids and positions, both (rows,), to (rows, width).

    `head`: (rows, width) to logits, (rows, vocabulary). `rotation`: for models that tell positions
    by turning queries and keys; `scale` is what scores are multiplied by.
    """

    layers: list[Layer]
    embed: Callable[[Tensor, Tensor], Tensor]
    head: Callable[[Tensor], Tensor]
    rotation: Callable[[Tensor], Rotation] | None
    heads: int
    kv_heads: int
    head_size: int
    scale: float
    dtype: torch.dtype
    device: torch.device

    @property
    def group(self) -> int:
        """How many query heads share one head of keys and values."""
        return self.heads // self.kv_heads

    @property
    def bytes_per_token(self) -> int:
        """What a token's keys and values take, over all layers."""
        return 2 * len(self.layers) * self.kv_heads * self.head_size * self.dtype.itemsize


def forward(
    decoder: Decoder,
    ids: Tensor,
    positions: Tensor,
    attend: Attend,
    *,
    keep: Tensor | None = None,
) -> Tensor:
    """Logits, shape (rows, vocabulary), of token ids and positions, both (rows,).

    `keep`: indices of the rows whose logits are wanted; the last layer writes the keys and values
    of all rows, but computes nothing else for the others.
    """
    hidden = decoder.embed(ids, positions)
    turned = decoder.rotation(positions) if decoder.rotation else None
    for number, layer in enumerate(decoder.layers):
        found = layer.qkv(layer.norm_attention(hidden) if layer.pre_norm else hidden)
        mixed = attend(number, *_split(decoder, found, turned))
        if keep is not None and number == len(decoder.layers) - 1:
            mixed, hidden = mixed[keep], hidden[keep]
        hidden = layer.out.added(mixed, hidden)
        if layer.pre_norm:
            hidden = layer.mlp(layer.norm_mlp(hidden), hidden)
        else:
            hidden = layer.norm_attention(hidden)
            hidden = layer.norm_mlp(layer.mlp(hidden, hidden))
    return decoder.head(hidden)


def _split(decoder: Decoder, qkv: Tensor, turned: Rotation | None) -> tuple[Tensor, Tensor]:
    rows, width = len(qkv), decoder.heads * decoder.head_size
    queries = qkv[:, :width].view(rows, decoder.heads, decoder.head_size)
    both = qkv[:, width:].view(rows, 2, decoder.kv_heads, decoder.head_size)
    if turned is None:
        return queries, both
    return _turn(queries, turned), torch.stack((_turn(both[:, 0], turned), both[:, 1]), 1)


def _turn(heads: Tensor, by: Rotation) -> Tensor:
    """Rotary positions (Su et al., 2021), the first half of each head against the second."""
    first, second = heads.chunk(2, -1)
    return heads * by[0] + torch.cat((-second, first), -1) * by[1]

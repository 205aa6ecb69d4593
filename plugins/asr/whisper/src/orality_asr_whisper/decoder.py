"""Whisper's decoder, one token at a time for clips of several lengths together.

What a token costs on a processor is reading the weights, so every row in hand shares them; only
attention to the encoder's states goes by their length. Rows that have ended leave when they are
many: keys and values of the states are large, and laying them out anew for each would take longer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from orality.models.cpu_linears import joined

_Linear = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class _Layer:
    """One layer's parts: `inner` gives query, key and value of a token side by side, `outer` key
    and value of the encoder's states."""

    norms: tuple[nn.Module, nn.Module, nn.Module]
    inner: _Linear
    inner_out: _Linear
    query: _Linear
    outer: _Linear
    outer_out: _Linear
    widen: _Linear
    activation: Callable[[Tensor], Tensor]
    narrow: _Linear


class Decoder:
    """The decoder of a transformers Whisper, for inference."""

    def __init__(self, model: Any) -> None:
        decoder = model.model.decoder
        self.vocab_size: int = model.config.vocab_size
        self.most_tokens: int = model.config.max_target_positions
        self.heads: int = model.config.decoder_attention_heads
        self.embed = decoder.embed_tokens
        self.positions: Tensor = decoder.embed_positions.weight
        self.norm = decoder.layer_norm
        self.scale = float(decoder.embed_scale) if hasattr(decoder, "embed_scale") else 1.0
        self.layers = [_layer(layer) for layer in decoder.layers]
        self.output = joined([model.proj_out])

    def begin(self, states: Sequence[Tensor], room: int) -> Text:
        """Texts of at most `room` tokens on clips' states, (length, width) each."""
        return Text(self, states, room)


class Text:
    """What a decoder has written of several clips so far, as keys and values."""

    def __init__(self, decoder: Decoder, states: Sequence[Tensor], room: int) -> None:
        self._decoder = decoder
        self._written = 0
        self._groups: list[int] = []  # rows of each length, in order
        self._outer: list[list[tuple[Tensor, Tensor]]] = []  # by group, by layer
        for _, several in groupby(states, key=len):
            together = torch.stack(list(several))
            self._groups.append(len(together))
            self._outer.append([self._keys_and_values(x.outer, together) for x in decoder.layers])
        heads, width = decoder.heads, states[0].shape[-1] // decoder.heads
        shape = (len(states), heads, room, width)
        self._inner = [
            (states[0].new_zeros(shape), states[0].new_zeros(shape)) for _ in decoder.layers
        ]

    def write(self, tokens: Tensor) -> Tensor:
        """What the decoder makes of the next tokens, (rows, count) to (rows, count, width)."""
        decoder, start = self._decoder, self._written
        rows, count = tokens.shape
        self._written = end = start + count
        x = decoder.embed(tokens) * decoder.scale + decoder.positions[start:end]
        mask = None
        if count > 1:
            mask = torch.full((count, end), float("-inf"), device=x.device, dtype=x.dtype)
            mask = mask.triu(start + 1)
        for number, layer in enumerate(decoder.layers):
            query, key, value = layer.inner(layer.norms[0](x)).chunk(3, dim=-1)
            keys, values = self._inner[number]
            keys[:, :, start:end] = self._by_head(key)
            values[:, :, start:end] = self._by_head(value)
            heard = _attend(self._by_head(query), keys[:, :, :end], values[:, :, :end], mask)
            x = x + layer.inner_out(heard.transpose(1, 2).reshape(rows, count, -1))
            queries = self._by_head(layer.query(layer.norms[1](x)))
            found = [
                _attend(some, *group[number])
                for some, group in zip(torch.split(queries, self._groups), self._outer, strict=True)
            ]
            x = x + layer.outer_out(torch.cat(found).transpose(1, 2).reshape(rows, count, -1))
            x = x + layer.narrow(layer.activation(layer.widen(layer.norms[2](x))))
        return decoder.norm(x)  # type: ignore[no-any-return]

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows only, in rising order."""
        groups, outer, start = [], [], 0
        for size, group in zip(self._groups, self._outer, strict=True):
            kept = [row - start for row in rows if start <= row < start + size]
            start += size
            if kept:
                groups.append(len(kept))
                outer.append(group if len(kept) == size else [_rows(pair, kept) for pair in group])
        self._groups, self._outer = groups, outer
        self._inner = [_rows(pair, rows) for pair in self._inner]

    def _keys_and_values(self, layer: _Linear, states: Tensor) -> tuple[Tensor, Tensor]:
        key, value = layer(states).chunk(2, dim=-1)
        return self._by_head(key).contiguous(), self._by_head(value).contiguous()

    def _by_head(self, x: Tensor) -> Tensor:
        """(rows, count, width) to (rows, heads, count, width of a head)."""
        return x.reshape(*x.shape[:2], self._decoder.heads, -1).transpose(1, 2)


def _attend(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
    scores = (query * query.shape[-1] ** -0.5) @ keys.transpose(-1, -2)
    found: Tensor = (scores if mask is None else scores + mask).softmax(-1) @ values
    return found


def _rows(pair: tuple[Tensor, Tensor], rows: Sequence[int]) -> tuple[Tensor, Tensor]:
    chosen = torch.tensor(rows, device=pair[0].device)
    return pair[0].index_select(0, chosen), pair[1].index_select(0, chosen)


def _layer(layer: Any) -> _Layer:
    inner, outer = layer.self_attn, layer.encoder_attn
    return _Layer(
        norms=(layer.self_attn_layer_norm, layer.encoder_attn_layer_norm, layer.final_layer_norm),
        inner=joined([inner.q_proj, inner.k_proj, inner.v_proj]),
        inner_out=joined([inner.out_proj]),
        query=joined([outer.q_proj]),
        outer=joined([outer.k_proj, outer.v_proj]),
        outer_out=joined([outer.out_proj]),
        widen=joined([layer.fc1]),
        activation=layer.activation_fn,
        narrow=joined([layer.fc2]),
    )

"""Next-token probabilities of many rows, their common beginning read by the model only once."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

_SLACK = 8


@dataclass(frozen=True, slots=True)
class Prefix:
    """The first tokens of most rows; `layers`: keys and values, each (1, heads, tokens, size)."""

    ids: list[int]
    layers: list[tuple[torch.Tensor, torch.Tensor]]


class NotCacheable(Exception):
    """The model keeps something else than one key and one value per token and layer."""


@torch.inference_mode()
def read_prefix(model: Any, ids: Sequence[int]) -> Prefix:
    """Run the model over the prefix; NotCacheable says why its outcome cannot be used again."""
    row = torch.tensor([list(ids)], device=model.device)
    _, out = _forward(model, row, [len(ids) - 1], keep=True)
    if not isinstance(out, DynamicCache):
        raise NotCacheable(f"it keeps a {type(out).__name__}, no keys and values")
    layers = []
    for layer in out.layers:
        if type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer):
            raise NotCacheable(f"it has a {type(layer).__name__}")
        if layer.keys is None or layer.values is None or layer.keys.shape[-2] != len(ids):
            raise NotCacheable(f"its attention does not reach back {len(ids)} tokens")
        layers.append((layer.keys, layer.values))
    return Prefix(list(ids), layers)


@torch.inference_mode()
def next_token(
    model: Any, rows: Sequence[Sequence[int]], prefix: Prefix | None, *, budget: int
) -> Iterator[tuple[list[int], torch.Tensor]]:
    """Numbers of rows with the probabilities of what comes next, float32, (rows, vocabulary).

    Batches come as they are finished. `budget`: tokens per forward pass, padding and the prefix of
    each row included. A row that shares only a part of the prefix uses that part of it.
    """
    shared = [common(prefix.ids, row) if prefix else 0 for row in rows]
    if prefix:  # a first word may join the prefix's last token: what some lack, all read anew
        level = min((n for n in shared if n >= len(prefix.ids) - _SLACK), default=0)
        shared = [level if n >= level else n for n in shared]
    for batch in batches([len(row) for row in rows], shared, budget):
        start = shared[batch[0]]
        own = [list(rows[index][start:]) for index in batch]
        longest = max(map(len, own))
        # Attention is causal, and padding is on the right: no token sees any, whatever it is, and
        # positions count on from the prefix by themselves.
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in own], device=model.device)
        cache = _repeat(model, prefix, start, len(own)) if prefix and start else None
        ends = sorted({len(row) - 1 for row in own})
        logits, _ = _forward(model, ids, ends, cache=cache)  # (rows, ends, vocabulary)
        last = [ends.index(len(row) - 1) for row in own]
        yield batch, logits[range(len(batch)), last].float().softmax(-1)


def batches(lengths: Sequence[int], shared: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Row numbers that share equally much, shortest first, `budget` tokens together at most."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (shared[i], lengths[i])):
        full = (len(batch) + 1) * lengths[index] > budget
        if batch and (full or shared[batch[0]] != shared[index]):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two rows share at the beginning, the second's last one not counted."""
    count = 0
    for a, b in zip(first, second[:-1], strict=False):
        if a != b:
            break
        count += 1
    return count


def _repeat(model: Any, prefix: Prefix, length: int, rows: int) -> DynamicCache:
    cache = DynamicCache(config=model.config)
    for number, (keys, values) in enumerate(prefix.layers):
        cache.update(
            keys[:, :, :length].expand(rows, -1, -1, -1),
            values[:, :, :length].expand(rows, -1, -1, -1),
            number,
        )
    return cache


def _forward(
    model: Any, ids: torch.Tensor, ends: list[int], *, cache: Any = None, keep: bool = False
) -> tuple[torch.Tensor, Any]:
    """Logits at the columns `ends`, shape (rows, ends, vocabulary), and what the model kept."""
    columns = torch.tensor(ends, device=ids.device)
    more: dict[str, Any] = {"use_cache": keep or cache is not None}
    if cache is not None:
        more["past_key_values"] = cache
    if "logits_to_keep" in inspect.signature(model.forward).parameters:
        out = model(input_ids=ids, logits_to_keep=columns, **more)
        return out.logits, getattr(out, "past_key_values", None)
    out = model(input_ids=ids, **more)
    return out.logits[:, columns], getattr(out, "past_key_values", None)

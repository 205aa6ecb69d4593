"""Reading prompts: each once, whatever the number of its continuations."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from orality_slm_twist.decoder import Decoder, forward
from orality_slm_twist.shared import SharedCache


def read_prompts(
    decoder: Decoder,
    cache: SharedCache,
    prompts: Sequence[Tensor],
    slots: Sequence[int],
    *,
    stride: int,
) -> Tensor:
    """Logits after each prompt, shape (P, V); their keys and values go to `slots` of the cache.

    `prompts`: token ids, shape (length,). They are padded on the right to a multiple of `stride`:
    nothing real looks to its right, and few different shapes mean few kernels to prepare.
    """
    device = decoder.device
    ends = [len(prompt) for prompt in prompts]
    length = min(-(-max(ends) // stride) * stride, cache.prompt_room)
    ids = torch.zeros(len(prompts), length, dtype=torch.int64)
    for row, prompt in enumerate(prompts):
        ids[row, : len(prompt)] = prompt
    where = torch.tensor(slots, device=device)
    # What pads has no position of its own: it takes the last real one, which the model has.
    positions = torch.arange(length).expand(len(prompts), -1)
    positions = torch.minimum(positions, torch.tensor(ends)[:, None] - 1)
    last = torch.arange(len(prompts)) * length + torch.tensor(ends) - 1

    def attend(layer: int, queries: Tensor, both: Tensor) -> Tensor:
        both = both.view(len(prompts), length, 2, decoder.kv_heads, decoder.head_size)
        cache.keep_prompts(layer, where, both)
        asked = queries.view(len(prompts), length, decoder.heads, decoder.head_size)
        keys, values = both.permute(2, 0, 3, 1, 4).unbind(0)
        found = functional.scaled_dot_product_attention(
            asked.transpose(1, 2), keys, values, is_causal=True, scale=decoder.scale,
            enable_gqa=decoder.group > 1,
        )  # fmt: skip
        return found.transpose(1, 2).reshape(len(prompts) * length, -1)

    return forward(
        decoder, ids.view(-1).to(device), positions.reshape(-1).to(device), attend,
        keep=last.to(device),
    )  # fmt: skip

"""Offering an attention function of one's own to every transformers model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

BUILT_IN = ("eager", "sdpa")


def offer_attention(
    name: str, function: Callable[..., Any], *, mask: Callable[..., Any] = sdpa_mask
) -> None:
    """Make `function` known to transformers as `name`, and so to `choose_attention`.

    `function(module, query, key, value, attention_mask, *, scaling, dropout, **kwargs)` takes
    query, key, value of shape (batch, heads, length, head size) and returns the output, shape
    (batch, length, heads, head size), and the weights or None. `mask` builds its attention mask;
    the default gives a boolean one, or None where plain causal attention is meant.
    """
    if name in BUILT_IN:
        raise ValueError(f"attention {name!r} is built in; offer yours under another name")
    AttentionInterface.register(name, function)
    AttentionMaskInterface.register(name, mask)

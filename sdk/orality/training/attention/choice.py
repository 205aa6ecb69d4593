"""Choosing an attention backend for a model, for as long as it is trained."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface

from orality.errors import TrainingError
from orality.training.attention.eager import eager
from orality.training.attention.flex import flex
from orality.training.attention.plan import Backend, RowAttention
from orality.training.attention.sdpa import sdpa
from orality.training.attention.xformers import has_kernels, xformers

logger = logging.getLogger(__name__)

AUTO = "auto"
_NAME = "orality_packed"  # under which transformers knows `_attend`
_BUILT_IN: dict[str, Backend] = {"eager": eager, "sdpa": sdpa, "xformers": xformers, "flex": flex}
_offered: dict[str, Backend] = {}


def offer_attention(name: str, backend: Backend) -> None:
    """Make `backend` known to `packed_attention` as `name`; see `RowAttention` for the contract."""
    if name in _BUILT_IN or name == AUTO:
        raise ValueError(f"attention {name!r} is built in; offer yours under another name")
    _offered[name] = backend


@contextmanager
def packed_attention(module: nn.Module, name: str = AUTO) -> Iterator[Backend | None]:
    """Let `module` read packed rows by the backend `name`, and restore its attention at the end.

    `eager` is made of matrix products, `sdpa` is fused, both run everywhere; `xformers` and `flex`
    are for CUDA; other names are those given to `offer_attention`. `auto` takes `eager` on a CPU,
    `xformers` on CUDA where its kernels load, else `sdpa`. Yields None for a module that is no
    transformers model: it keeps its own attention (`auto`), and rows are padded instead; any other
    name raises TrainingError.
    """
    # Typed Any: transformers' switch is no part of nn.Module.
    model: Any = next((part for part in module.modules() if _can_switch(part)), None)
    if model is None:
        if name != AUTO:
            raise TrainingError(
                f"attention {name!r} cannot be set on {type(module).__name__}, which is no "
                "transformers model; use 'auto' to keep its own"
            )
        logger.info("attention: %s keeps its own, on padded rows", type(module).__name__)
        yield None
        return
    device = next(module.parameters()).device
    chosen = _automatic(device) if name == AUTO else name
    backend = {**_BUILT_IN, **_offered}.get(chosen)
    if backend is None:
        known = ", ".join(repr(known) for known in (AUTO, *_BUILT_IN, *_offered))
        raise TrainingError(f"attention {name!r} is unknown; wanted {known}")
    before = model.config._attn_implementation
    _set(model, _NAME)
    logger.info("attention: %s on %s%s", chosen, device, "" if name == AUTO else ", as asked")
    try:
        yield backend
    finally:
        _set(model, before)


def _automatic(device: torch.device) -> str:
    if device.type == "cuda":
        return "xformers" if has_kernels(device) else "sdpa"
    return "eager" if device.type == "cpu" else "sdpa"


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    packing: RowAttention | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """transformers' attention function. Whatever it could not honour is an error."""
    if packing is None:
        raise TrainingError("a model in packed training was called without a packed row")
    if attention_mask is not None:
        raise TrainingError("packed rows carry their own mask; call the model without another")
    if query.shape[0] != 1 or query.shape[2] != key.shape[2]:
        raise TrainingError(
            f"packed attention wants one row and no cached keys, got queries {tuple(query.shape)} "
            f"and keys {tuple(key.shape)}"
        )
    unhonoured = [
        name
        for name, given in {
            "dropout": dropout > 0,
            "sliding_window": _window(others.get("sliding_window"), query.shape[2]),
            "softcap": others.get("softcap") is not None,
            "s_aux": others.get("s_aux") is not None,
        }.items()
        if given
    ]
    if unhonoured:
        raise TrainingError(
            f"packed attention does not know this model's {', '.join(unhonoured)}; it would "
            "compute something else than the model was trained for"
        )
    # Rotary positions leave queries and keys in float32 under autocast.
    query, key = query.to(value.dtype), key.to(value.dtype)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return packing(query[0], key[0], value[0], scaling=scale)[None], None


def _window(window: int | None, tokens: int) -> bool:
    return window is not None and window < tokens


def _no_mask(*args: Any, attention_mask: Tensor | None = None, **others: Any) -> None:
    if attention_mask is not None:
        raise TrainingError("packed rows carry their own mask; call the model without another")


def _set(model: Any, name: str) -> None:
    try:
        model.set_attn_implementation(name)
    except (ImportError, ValueError) as error:
        raise TrainingError(f"attention {name!r} cannot run here: {error}") from error
    if model.config._attn_implementation != name:
        raise TrainingError(
            f"{type(model).__name__} does not take its attention from transformers' interface, so "
            "it cannot read packed rows"
        )


def _can_switch(module: nn.Module) -> bool:
    return hasattr(module, "set_attn_implementation") and hasattr(module, "config")


AttentionInterface.register(_NAME, _attend)
AttentionMaskInterface.register(_NAME, _no_mask)

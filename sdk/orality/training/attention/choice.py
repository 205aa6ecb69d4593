"""Choosing an attention backend for a model."""

from __future__ import annotations

import logging
from typing import Any

from torch import nn
from transformers import AttentionInterface

from orality.errors import TrainingError
from orality.training.attention.registration import BUILT_IN

logger = logging.getLogger(__name__)

AUTO = "auto"


def choose_attention(module: nn.Module, backend: str = AUTO) -> str:
    """Make `module` run `backend` and return its name.

    `eager` is the reference, `sdpa` is fused and runs everywhere; other names are those given to
    `offer_attention`. `auto` takes `sdpa` where the model knows it. A module that is no
    transformers model keeps its own attention (`auto`) or raises TrainingError.
    """
    # Typed Any: transformers' switch is no part of nn.Module.
    model: Any = next((part for part in module.modules() if _can_switch(part)), None)
    if model is None:
        if backend != AUTO:
            raise TrainingError(
                f"attention {backend!r} cannot be set on {type(module).__name__}, which is no "
                "transformers model; use 'auto' to keep its own"
            )
        logger.info("attention: %s keeps its own", type(module).__name__)
        return "own"
    name = _automatic(model) if backend == AUTO else backend
    if name not in BUILT_IN and name not in AttentionInterface():
        raise TrainingError(
            f"attention {name!r} is unknown; wanted 'auto', 'eager', 'sdpa' or a name given to "
            "offer_attention"
        )
    try:
        model.set_attn_implementation(name)
    except (ImportError, ValueError) as error:
        raise TrainingError(f"attention {name!r} cannot run here: {error}") from error
    if model.config._attn_implementation != name:
        raise TrainingError(
            f"attention {name!r} cannot be set on {type(model).__name__}; use 'auto' or 'eager'"
        )
    reason = "the model has a fused kernel for it" if name == "sdpa" else "the model has no other"
    logger.info("attention: %s (%s)", name, reason if backend == AUTO else "as asked")
    return name


def _automatic(model: Any) -> str:
    return "sdpa" if getattr(model, "_supports_sdpa", False) else "eager"


def _can_switch(module: nn.Module) -> bool:
    return hasattr(module, "set_attn_implementation") and hasattr(module, "config")

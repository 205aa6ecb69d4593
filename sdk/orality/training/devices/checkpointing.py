"""Activation checkpointing: keep what enters a layer, compute the rest again in backward."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from orality.errors import TrainingError


@contextmanager
def recomputed_layers(module: nn.Module, *, on: bool) -> Iterator[None]:
    """While it lasts, each transformer layer of `module` recomputes its activations in backward.

    transformers' own switch works in training mode only, in which dropout would set policy and
    reference apart. Raises TrainingError for a module without such layers.
    """
    layers = [part for part in module.modules() if isinstance(part, GradientCheckpointingLayer)]
    if on and not layers:
        raise TrainingError(
            f"{type(module).__name__} has no transformers layers, so its activations cannot be "
            "recomputed; switch activation_checkpointing off"
        )
    for layer in layers if on else []:
        # An instance attribute hides the method of the class, and is taken away again below.
        layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)
    try:
        yield
    finally:
        for layer in layers if on else []:
            del layer.forward

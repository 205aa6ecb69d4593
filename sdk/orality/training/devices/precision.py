"""In which precision a training computes, and how it gets there without casting all the time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from peft.helpers import disable_input_dtype_casting
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from orality.errors import TrainingError

PRECISIONS = ("float32", "bfloat16")


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """bfloat16 where it is safe, or float32 throughout."""
    if precision not in PRECISIONS:
        raise TrainingError(f"got precision {precision!r}, wanted one of {', '.join(PRECISIONS)}")
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


@contextmanager
def cast_once(module: nn.Module, precision: str) -> Iterator[None]:
    """Spare `autocast` its repeated casts for as long as it lasts; results stay the same.

    Autocast casts a frozen linear layer's weights at every call, and an input once for each layer
    that reads it. Here such weights are cast when it begins (and given back at the end), and
    layers that read the same input one after another, as queries, keys and values do, share its
    cast. Weights that other layers use as well, as tied embeddings, are left alone.
    """
    if precision != "bfloat16":
        yield
        return
    linear = [part for part in module.modules() if isinstance(part, nn.Linear)]
    others = {
        id(weight)
        for part in module.modules()
        if not isinstance(part, nn.Linear)
        for weight in part.parameters(recurse=False)
    }
    frozen = {
        id(weight): weight
        for part in linear
        for weight in part.parameters(recurse=False)
        if not weight.requires_grad and id(weight) not in others
    }
    before = {name: weight.data for name, weight in frozen.items()}
    share = _SharedCast()
    readers = [*linear, *(part for part in module.modules() if isinstance(part, BaseTunerLayer))]
    hooks = [part.register_forward_pre_hook(share) for part in readers]
    try:
        for weight in frozen.values():
            weight.data = weight.data.to(torch.bfloat16)
        with disable_input_dtype_casting(module):  # PEFT's own, back to float32
            yield
    finally:
        for hook in hooks:
            hook.remove()
        for name, weight in frozen.items():
            weight.data = before[name].to(weight.device)


class _SharedCast:
    """A hook before linear layers: the last input is cast once, whoever reads it."""

    def __init__(self) -> None:
        self.given: Tensor | None = None
        self.cast: Tensor | None = None

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        given = inputs[0] if inputs else None
        if (
            not isinstance(given, Tensor)
            or given.dtype != torch.float32
            or not torch.is_autocast_enabled(given.device.type)
            or torch.compiler.is_compiling()  # which fuses the casts itself
        ):
            return None
        if self.given is not given or self.cast is None:
            self.given, self.cast = given, given.to(torch.bfloat16)
        return (self.cast, *inputs[1:])

"""Linear layers on CPUs with their weights laid out once for the processor's matrix kernels.

A layer's weights stay the same for thousands of rows, so that laying them out anew for each (what
float32 layers otherwise do, in a library that is slow on some processors) is work for nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

logger = logging.getLogger(__name__)


@contextmanager
def prepacked_linears(module: nn.Module, *, most_bytes: int = 2**31) -> Iterator[int]:
    """Let the float32 linear layers of `module` on a CPU compute through oneDNN, for inference.

    Yields how many do: none where this build of torch has no oneDNN, or where the weights, of which
    a second copy is kept, take more than `most_bytes`. Results differ by rounding.
    Nothing may be differentiated and no weight changed meanwhile; afterwards all is as before.
    """
    layers: list[Any] = [part for part in module.modules() if _suits(part)] if _available() else []
    if sum(layer.weight.nbytes for layer in layers) > most_bytes:
        layers = []
    try:
        for layer in layers:
            layer.forward = _forward(layer)
        yield len(layers)
    finally:
        for layer in layers:
            layer.__dict__.pop("forward", None)


def _available() -> bool:
    wanted = ("_reorder_linear_weight", "_linear_pointwise")
    backend: Any = torch.backends.mkldnn
    return bool(backend.is_available()) and all(hasattr(torch.ops.mkldnn, name) for name in wanted)


def _suits(part: nn.Module) -> bool:
    # Not a subclass, which may compute something else, nor a layer someone has wrapped already.
    return (
        type(part) is nn.Linear
        and part.weight.device.type == "cpu"
        and part.weight.dtype == torch.float32
        and "forward" not in part.__dict__
    )


def _forward(layer: Any) -> Callable[[Tensor], Tensor]:
    weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), None)
    bias = None if layer.bias is None else layer.bias.detach()

    def forward(values: Tensor) -> Tensor:
        if values.dtype != torch.float32 or not values.numel():
            return nn.functional.linear(values, layer.weight, layer.bias)
        found: Tensor = torch.ops.mkldnn._linear_pointwise(values, weight, bias, "none", [], "")
        return found

    return forward

"""Linear layers on CPUs with their weights laid out once for the processor's matrix kernels.

A layer's weights stay the same for thousands of rows, so that laying them out anew for each (what
float32 layers otherwise do, in a library that is slow on some processors) is work for nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["has_bfloat16", "joined", "prepack", "prepacked_linears"]

logger = logging.getLogger(__name__)


@contextmanager
def prepacked_linears(module: nn.Module, *, most_bytes: int = 2**31) -> Iterator[int]:
    """Let the float32 linear layers of `module` on a CPU compute through oneDNN, for inference.

    Yields how many do: none where this build of torch has no oneDNN, or where the weights, of which
    a second copy is kept, take more than `most_bytes`. Results differ by rounding.
    Nothing may be differentiated and no weight changed meanwhile; afterwards all is as before.
    """
    layers = prepack(module, most_bytes=most_bytes)
    try:
        yield len(layers)
    finally:
        for layer in layers:
            layer.__dict__.pop("forward", None)


def prepack(module: nn.Module, *, most_bytes: int = 2**31) -> list[nn.Module]:
    """As `prepacked_linears`, for a module that does nothing but inference; returns the layers."""
    layers: list[Any] = [part for part in module.modules() if _suits(part)] if _available() else []
    if sum(layer.weight.nbytes for layer in layers) > most_bytes:
        return []
    for layer in layers:
        layer.forward = _forward(layer.weight, layer.bias)
    return layers


def joined(layers: Sequence[nn.Linear]) -> Callable[[Tensor], Tensor]:
    """Layers that read the same input as one function, (..., in) to (..., sum of the outs).

    Laid out once as `prepacked_linears` does, where that can be done; for inference.
    """
    weight = torch.cat([layer.weight.detach() for layer in layers])
    if len(layers) == 1:  # no second copy
        weight = layers[0].weight.detach()
    bias = None
    if any(layer.bias is not None for layer in layers):
        bias = torch.cat(
            [
                weight.new_zeros(layer.out_features) if layer.bias is None else layer.bias.detach()
                for layer in layers
            ]
        )
    if _available() and weight.device.type == "cpu" and weight.dtype == torch.float32:
        return _forward(weight, bias)
    return lambda values: nn.functional.linear(values, weight, bias)


def has_bfloat16(device: str) -> bool:
    """Whether a device multiplies bfloat16 matrices by instructions of its own, not by emulation.

    On a CPU: AMX or AVX-512 BF16 (x86), BF16 (Arm); oneDNN takes AVX-512 alone for enough, where
    bfloat16 is slower than float32.
    """
    if device.startswith("cuda"):
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    if device != "cpu":
        return False
    found = torch.cpu.get_capabilities()
    return any(found.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16", "arm_bf16"))


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


def _forward(weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
    weight, bias = weight.detach(), None if bias is None else bias.detach()
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, None)

    def forward(values: Tensor) -> Tensor:
        if values.dtype != torch.float32 or not values.numel():
            return nn.functional.linear(values, weight, bias)
        found: Tensor = torch.ops.mkldnn._linear_pointwise(values, packed, bias, "none", [], "")
        return found

    return forward

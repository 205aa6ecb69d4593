"""Linear layers for writing one unit at a time: several weights as one, in the fastest layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

_onednn = torch.ops.mkldnn


class Linear(Protocol):
    """Rows of features, shape (rows, width in), to shape (rows, width out)."""

    def __call__(self, rows: Tensor) -> Tensor: ...

    def relu(self, rows: Tensor) -> Tensor:
        """The positive part of the outputs."""
        ...

    def added(self, rows: Tensor, residual: Tensor) -> Tensor:
        """The outputs plus `residual`, shape (rows, width out)."""
        ...


def joined(layers: Sequence[nn.Linear]) -> Linear:
    """The layers, which read the same input, as one whose outputs lie side by side."""
    weight, bias = _gathered(layers)
    if weight.device.type == "cpu" and weight.dtype == torch.float32 and packing_available():
        return PackedLinear(weight, bias)
    return PlainLinear(weight, bias)


def packing_available() -> bool:
    """Whether this torch has oneDNN's linear layers, about twice as fast on some processors."""
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return available and hasattr(torch.ops.mkldnn, "_linear_pointwise")


class PackedLinear:
    """A float32 layer on a processor, its weight laid out once for oneDNN.

    A row's outputs are the same bits whatever the number of rows, with one exception: oneDNN adds
    in another order where there is a single one, so that never happens here.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight = _onednn._reorder_linear_weight(weight, None)
        self._bias = bias
        self._run = _onednn._linear_pointwise.default  # found once, not at every call

    def __call__(self, rows: Tensor, *, then: str = "none") -> Tensor:
        if rows.shape[0] == 1:
            return self(rows.expand(2, -1), then=then)[:1]
        found: Tensor = self._run(rows, self._weight, self._bias, then, [], "")
        return found

    def relu(self, rows: Tensor) -> Tensor:
        """The positive part of the outputs."""
        return self(rows, then="relu")

    def added(self, rows: Tensor, residual: Tensor) -> Tensor:
        """The outputs plus `residual`."""
        return self(rows).add_(residual)


class PlainLinear:
    """A layer in torch's own layout: other devices, other precisions."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight = weight
        self._bias = bias

    def __call__(self, rows: Tensor) -> Tensor:
        return functional.linear(rows, self._weight, self._bias)

    def relu(self, rows: Tensor) -> Tensor:
        """The positive part of the outputs."""
        return self(rows).relu_()

    def added(self, rows: Tensor, residual: Tensor) -> Tensor:
        """The outputs plus `residual`."""
        return self(rows).add_(residual)


def _gathered(layers: Sequence[nn.Linear]) -> tuple[Tensor, Tensor | None]:
    if len(layers) == 1:
        return layers[0].weight.detach(), layers[0].bias
    weight = torch.cat([layer.weight.detach() for layer in layers])
    if all(layer.bias is None for layer in layers):
        return weight, None
    biases = [
        weight.new_zeros(layer.out_features) if layer.bias is None else layer.bias.detach()
        for layer in layers
    ]
    return weight, torch.cat(biases)

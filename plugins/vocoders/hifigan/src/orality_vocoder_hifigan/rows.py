"""Convolutions over time in the layout that a processor computes them in."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d


class RowConvolution(nn.Module):
    """A convolution, or a transposed one, over (batch, channels, 1, frames), float32 as before.

    Frames are rows: a frame's channels lie side by side in memory, where oneDNN wants them, so that
    nothing is laid out anew between one convolution and the next.
    """

    def __init__(self, layer: nn.Conv1d | nn.ConvTranspose1d) -> None:
        super().__init__()
        weight = layer.weight.detach()[:, :, None]
        self.weight = nn.Parameter(
            weight.contiguous(memory_format=torch.channels_last), requires_grad=False
        )
        self.bias = layer.bias
        self.kernel, self.stride = layer.kernel_size[0], layer.stride[0]
        self.padding, self.dilation = int(layer.padding[0]), layer.dilation[0]
        self.transposed = isinstance(layer, nn.ConvTranspose1d)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels in, 1, frames) to (batch, channels out, 1, frames out)."""
        stride, padding, dilation = (1, self.stride), (0, self.padding), (1, self.dilation)
        if self.transposed:
            return conv_transpose2d(x, self.weight, self.bias, stride, padding, dilation=dilation)
        return conv2d(x, self.weight, self.bias, stride, padding, dilation)

    def length(self, frames: int) -> int:
        """Frames out of a transposed one."""
        return (frames - 1) * self.stride - 2 * self.padding + self.dilation * (self.kernel - 1) + 1


def lay_in_rows(body: nn.Module) -> None:
    """Replace every convolution of a generator, in place."""
    for parent in list(body.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv1d | nn.ConvTranspose1d):
                setattr(parent, name, RowConvolution(child))

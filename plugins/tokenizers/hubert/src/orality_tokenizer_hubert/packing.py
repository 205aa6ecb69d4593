"""Layers in the layouts that oneDNN computes in: float32 as before, faster on processors."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers.models.wavlm.modeling_wavlm import WavLMAttention

logger = logging.getLogger(__name__)


class PackedLinear(nn.Module):
    """A linear layer whose weight is laid out once, for float32 on a processor."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.bias = linear.bias
        self._packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), None)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(..., width in) to (..., width out)."""
        found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            features, self._packed, self.bias, "none", [], ""
        )
        return found


class RowConvolution(nn.Module):
    """A convolution over time whose frames are rows: channels lie side by side in memory."""

    def __init__(self, conv: nn.Conv1d) -> None:
        super().__init__()
        weight = conv.weight.detach()[:, :, None]
        self.weight = nn.Parameter(
            weight.contiguous(memory_format=torch.channels_last), requires_grad=False
        )
        self.bias = conv.bias
        self._stride = (1, conv.stride[0])
        self._padding = (0, int(conv.padding[0]))
        self._groups = conv.groups

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """(batch, channels in, frames) to (batch, channels out, frames out)."""
        rows = frames[:, :, None].contiguous(memory_format=torch.channels_last)
        found = functional.conv2d(
            rows, self.weight, self.bias, self._stride, self._padding, groups=self._groups
        )
        return found[:, :, 0]


def pack(model: Any) -> None:
    """Replace an encoder's linear layers and the convolutions at its front, in place."""
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not (available and hasattr(torch.ops.mkldnn, "_linear_pointwise")):
        logger.info("torch has no oneDNN here: the encoder runs as it is, slower")
        return
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            # WavLM's attention takes the weights out of its layers
            if type(child) is nn.Linear and not isinstance(parent, WavLMAttention):
                setattr(parent, name, PackedLinear(child))
    fronts = [getattr(model, "feature_extractor", None)]
    fronts += [getattr(model.encoder, "pos_conv_embed", None)]
    for parent in [module for front in fronts if front for module in front.modules()]:
        conv = getattr(parent, "conv", None)
        if type(conv) is nn.Conv1d and conv.in_channels > 1:
            parent.conv = RowConvolution(conv)

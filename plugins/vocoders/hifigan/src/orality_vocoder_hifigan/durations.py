"""The duration predictor of CodeHiFiGAN (fairseq's VariancePredictor)."""

from __future__ import annotations

import torch
from torch import nn


class DurationPredictor(nn.Module):
    """Unit embeddings (1, units, width) to whole frames, int64 (1, units), at least one each."""

    def __init__(self, width: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv1d(width, hidden, kernel, padding=(kernel - 1) // 2), nn.ReLU()
        )
        self.ln1 = nn.LayerNorm(hidden)
        # the original pads by one whatever the kernel
        self.conv2 = nn.Sequential(nn.Conv1d(hidden, hidden, kernel, padding=1), nn.ReLU())
        self.ln2 = nn.LayerNorm(hidden)
        self.proj = nn.Linear(hidden, 1)

    def forward(self, embedded: torch.Tensor) -> torch.Tensor:
        x = self.ln1(self.conv1(embedded.transpose(1, 2)).transpose(1, 2))
        x = self.ln2(self.conv2(x.transpose(1, 2)).transpose(1, 2))
        frames = torch.round(torch.exp(self.proj(x)[..., 0]) - 1)
        return frames.clamp(min=1).long()

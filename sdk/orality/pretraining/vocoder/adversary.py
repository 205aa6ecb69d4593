"""Discriminators that teach a vocoder what its spectral losses do not hear.

Complex-STFT discriminators at several resolutions (after Defossez et al. 2022, EnCodec) with hinge
losses and feature matching.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

WINDOWS = (256, 512, 1024)


class Adversary(nn.Module):
    """Called with (guess, truth), float32 (batch, samples): first learns itself, then answers
    (how far the guess is from fooling it, feature distance, its own loss)."""

    def __init__(self, device: torch.device, learning_rate: float, width: int = 24) -> None:
        super().__init__()
        self.critics = nn.ModuleList(_Critic(window, width) for window in WINDOWS)
        self.to(device)
        self.optimizer = torch.optim.AdamW(self.parameters(), lr=learning_rate, betas=(0.8, 0.99))

    def forward(
        self, guess: torch.Tensor, truth: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        lesson = guess.new_zeros(())
        for critic in self.critics:
            real, fake = critic(truth)[0], critic(guess.detach())[0]
            lesson = lesson + F.relu(1 - real).mean() + F.relu(1 + fake).mean()
        self.optimizer.zero_grad(set_to_none=True)
        lesson.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        fooled = features = guess.new_zeros(())
        for critic in self.critics:
            with torch.no_grad():
                _, wanted = critic(truth)
            answer, got = critic(guess)
            fooled = fooled - answer.mean()
            for a, b in zip(got, wanted, strict=True):
                features = features + (a - b).abs().mean() / b.abs().mean().clamp(min=1e-3)
        count = len(self.critics)
        return fooled / count, features / (4 * count), lesson.detach() / count


class _Critic(nn.Module):
    def __init__(self, window: int, width: int) -> None:
        super().__init__()
        self.size = window
        self.register_buffer("window", torch.hann_window(window), persistent=False)
        plans = [(2, (1, 1)), (width, (2, 1)), (width, (2, 1)), (width, (2, 1))]
        self.layers = nn.ModuleList(
            nn.utils.parametrizations.weight_norm(
                nn.Conv2d(channels, width, (5, 3), stride, (2, 1))
            )
            for channels, stride in plans
        )
        self.last = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        window: Any = self.window
        spectrum = torch.stft(x, self.size, self.size // 4, window=window, return_complex=True)
        x = torch.stack([spectrum.real, spectrum.imag], 1)
        features = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.1)
            features.append(x)
        return self.last(x), features

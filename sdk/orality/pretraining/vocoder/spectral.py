"""How far one waveform is from another, by their spectra at several resolutions.

Multi-resolution STFT loss (Yamamoto et al. 2020, Parallel WaveGAN) and log-mel distance (Kong et
al. 2020, HiFi-GAN). Windows down to 16 ms carry what makes speech intelligible even where the
pitch is guessed wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

FLOOR = 1e-3  # about -60 dB below full scale: below it, differences are not heard
RESOLUTIONS = ((1024, 256, 80), (512, 128, 64), (256, 64, 40))  # (window, hop, mel bands)


class Distances(NamedTuple):
    """Means over resolutions: log-mel L1; spectral convergence plus log-magnitude L1."""

    mel: torch.Tensor
    stft: torch.Tensor


class SpectralLoss(nn.Module):
    """Distance of two batches of waveforms, float32 (batch, samples), of the same shape."""

    def __init__(
        self,
        sample_rate: int = 16_000,
        resolutions: Sequence[tuple[int, int, int]] = RESOLUTIONS,
    ) -> None:
        super().__init__()
        self.resolutions = tuple(resolutions)
        for window, _, bands in self.resolutions:
            self.register_buffer(f"window{window}", torch.hann_window(window), persistent=False)
            filters = torch.from_numpy(mel_filters(sample_rate, window, bands))
            self.register_buffer(f"mel{window}", filters, persistent=False)

    def forward(self, guess: torch.Tensor, truth: torch.Tensor) -> Distances:
        mel = stft = guess.new_zeros(())
        for window, hop, _ in self.resolutions:
            a, b = self._magnitude(guess, window, hop), self._magnitude(truth, window, hop)
            filters = self.get_buffer(f"mel{window}")
            mel = mel + (_log(filters @ a) - _log(filters @ b)).abs().mean()
            convergence = (a - b).norm() / b.norm().clamp(min=FLOOR)
            stft = stft + convergence + (_log(a) - _log(b)).abs().mean()
        return Distances(mel / len(self.resolutions), stft / len(self.resolutions))

    def _magnitude(self, x: torch.Tensor, window: int, hop: int) -> torch.Tensor:
        spectrum = torch.stft(
            x, window, hop, window=self.get_buffer(f"window{window}"),
            pad_mode="constant", return_complex=True,
        )  # fmt: skip
        # the floor also keeps the gradient of |z| finite at z = 0
        return spectrum.abs().clamp(min=FLOOR)


def mel_filters(sample_rate: int, window: int, bands: int) -> NDArray[np.float32]:
    """Triangles of height 1 on the mel scale from 0 to half the rate: (bands, window // 2 + 1)."""
    highest = 2595 * np.log10(1 + sample_rate / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, highest, bands + 2) / 2595) - 1)
    bins = np.linspace(0, sample_rate / 2, window // 2 + 1)
    left, middle, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    triangles = np.minimum((bins - left) / (middle - left), (right - bins) / (right - middle))
    return np.maximum(0, triangles).astype(np.float32)


def _log(x: torch.Tensor) -> torch.Tensor:
    return x.clamp(min=FLOOR).log()

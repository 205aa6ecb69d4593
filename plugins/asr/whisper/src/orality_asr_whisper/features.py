"""Whisper's log-mel spectrogram, for clips of any length."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

SAMPLE_RATE = 16000
HOP = 160  # 10 ms
_WINDOW = 400  # 25 ms


@cache
def mel_filters(bins: int) -> torch.Tensor:
    """Slaney's mel filters, area-normalized, 0 to 8 kHz: (bins, 201)."""
    frequencies = np.linspace(0, SAMPLE_RATE / 2, _WINDOW // 2 + 1)
    edges = _mel_to_hertz(np.linspace(_hertz_to_mel(0.0), _hertz_to_mel(8000.0), bins + 2))
    widths = np.diff(edges)
    slopes = edges[:, None] - frequencies[None, :]
    rising, falling = -slopes[:-2] / widths[:-1, None], slopes[2:] / widths[1:, None]
    filters = np.maximum(0.0, np.minimum(rising, falling))
    filters *= (2.0 / (edges[2:] - edges[:-2]))[:, None]
    return torch.from_numpy(filters.astype(np.float32))


def log_mel(samples: torch.Tensor, bins: int = 80) -> torch.Tensor:
    """(batch, num_samples) at 16 kHz, a multiple of 160, to (batch, bins, num_samples // 160).

    As in the original: log10, floored 8 below each clip's own maximum, then (x + 4) / 4.
    """
    window = torch.hann_window(_WINDOW, device=samples.device)
    spectrum = torch.stft(samples, _WINDOW, HOP, window=window, return_complex=True)
    power = spectrum[..., :-1].abs().square()
    mels = (mel_filters(bins).to(samples.device) @ power).clamp(min=1e-10).log10()
    floor = mels.amax(dim=(1, 2), keepdim=True) - 8.0
    return (torch.maximum(mels, floor) + 4.0) / 4.0


def _hertz_to_mel(hertz: float) -> float:
    """Linear below 1 kHz, logarithmic above (Slaney's Auditory Toolbox)."""
    return hertz * 3 / 200 if hertz < 1000 else float(15 + np.log(hertz / 1000) * 27 / np.log(6.4))


def _mel_to_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))

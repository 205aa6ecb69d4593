"""Mel-frequency cepstra in torch, averaged onto an encoder's frames."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from orality.pretraining.data import SAMPLE_RATE, Samples
from orality.pretraining.quantizer.encoder import Frames

HOP, WINDOW, FFT, MELS, COEFFICIENTS = 160, 400, 512, 40, 13


def mfcc(samples: Samples, frames: Frames, *, device: torch.device | None = None) -> torch.Tensor:
    """39 features per encoder frame, float32 (frames, 39): coefficients, first, second differences.

    Computed every 10 ms with 25 ms windows, then averaged over what each encoder frame sees.
    """
    count = frames.count(len(samples))
    if count == 0:
        return torch.zeros(0, 3 * COEFFICIENTS, device=device)
    wave = torch.from_numpy(np.ascontiguousarray(samples)).to(device)
    window = torch.hann_window(WINDOW, device=device)
    spectrum = torch.stft(
        wave, FFT, HOP, WINDOW, window, center=True, pad_mode="constant", return_complex=True
    )
    filters = torch.from_numpy(_mel_filters()).to(device)
    log_mel = (filters @ spectrum.abs().square() + 1e-6).log().T  # (time, mels)
    cepstra = log_mel @ torch.from_numpy(_dct()).to(device)
    first = torch.gradient(cepstra, dim=0)[0] if len(cepstra) > 1 else torch.zeros_like(cepstra)
    second = torch.gradient(first, dim=0)[0] if len(cepstra) > 1 else first
    fine = torch.cat([cepstra, first, second], 1)
    # mean over [hop * t, hop * t + field) by differences of a running sum
    sums = torch.cat([fine.new_zeros(1, fine.shape[1]), fine.double().cumsum(0)])
    starts = torch.arange(count, device=device) * frames.hop // HOP
    ends = (starts + max(1, frames.field // HOP)).clamp_max(len(fine))
    starts = torch.minimum(starts, ends - 1)
    return ((sums[ends] - sums[starts]) / (ends - starts).unsqueeze(1)).float()


@cache
def _mel_filters() -> NDArray[np.float32]:
    """Triangles on the HTK mel scale, (mels, bins), from 0 Hz to half the sampling rate."""
    top = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, MELS + 2) / 2595) - 1)
    bins = np.linspace(0, SAMPLE_RATE / 2, FFT // 2 + 1)
    rise = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.clip(np.minimum(rise, fall), 0, None).astype(np.float32)


@cache
def _dct() -> NDArray[np.float32]:
    """The orthonormal DCT-II, (mels, coefficients)."""
    mel = np.arange(MELS)[:, None]
    basis = np.cos(np.pi / MELS * (mel + 0.5) * np.arange(COEFFICIENTS)) * np.sqrt(2 / MELS)
    basis[:, 0] /= np.sqrt(2)
    return np.asarray(basis, np.float32)

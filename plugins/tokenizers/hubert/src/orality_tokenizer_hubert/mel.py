"""Log-mel features as w2v-BERT 2.0 wants them: those of transformers' SeamlessM4T extractor."""

from __future__ import annotations

import torch
from transformers import SeamlessM4TFeatureExtractor

WINDOW, HOP = 400, 160  # samples at 16 kHz


def mel_features(samples: torch.Tensor, *, bins: int, stride: int) -> torch.Tensor:
    """Float32 (batch, samples) to (batch, frames // stride, bins * stride), on the CPU.

    Each bin has zero mean and unit variance over the recording. Frames that do not fill a stride
    are left out: the extractor pads them and masks what it padded, so that no frame sees them.
    """
    extract = SeamlessM4TFeatureExtractor(feature_size=bins, num_mel_bins=bins, stride=stride)
    found = extract(
        list(samples.cpu().numpy()),
        sampling_rate=16_000,
        pad_to_multiple_of=None,
        return_tensors="pt",
    )
    features: torch.Tensor = found["input_features"].float()
    return features

"""Clips of one padded length together, as the encoder's states."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from orality import Waveform, resample
from orality_asr_whisper.decoding import encode, with_silence
from orality_asr_whisper.features import SAMPLE_RATE, log_mel
from orality_asr_whisper.segments import padded_length

Clip = NDArray[np.float32]
_ENCODED_SECONDS = defaultdict(lambda: 120.0, cpu=30.0)  # by device


def finite_samples(waveform: Waveform) -> Clip:
    """At Whisper's rate, without NaN and Inf."""
    samples = resample(waveform, SAMPLE_RATE).samples
    return np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)


def batches(lengths: Sequence[int], batch_seconds: float) -> Iterator[list[int]]:
    """Row numbers of clips with equal padded length, at most `batch_seconds` of audio each."""
    groups: dict[int, list[int]] = {}
    for row, length in enumerate(lengths):
        groups.setdefault(padded_length(length), []).append(row)
    for length, rows in sorted(groups.items()):
        size = max(1, int(batch_seconds * SAMPLE_RATE / length))
        yield from (rows[start : start + size] for start in range(0, len(rows), size))


def mixed_batches(lengths: Sequence[int], batch_seconds: float) -> Iterator[list[int]]:
    """Row numbers by padded length, at most `batch_seconds` of audio each, of whatever lengths."""
    batch: list[int] = []
    seconds = 0.0
    for row in sorted(range(len(lengths)), key=lambda row: padded_length(lengths[row])):
        more = padded_length(lengths[row]) / SAMPLE_RATE
        if batch and seconds + more > batch_seconds:
            yield batch
            batch, seconds = [], 0.0
        batch.append(row)
        seconds += more
    if batch:
        yield batch


def clip_states(model: Any, silence: torch.Tensor, clips: Sequence[Clip]) -> list[torch.Tensor]:
    """The states of each clip, (length, width), encoded few at a time: more overflow the caches."""
    found: dict[int, torch.Tensor] = {}
    for rows in batches([len(clip) for clip in clips], _ENCODED_SECONDS[model.device.type]):
        found |= dict(
            zip(rows, states_of(model, silence, [clips[row] for row in rows]), strict=True)
        )
    return [found[row] for row in range(len(clips))]


def states_of(model: Any, silence: torch.Tensor, clips: Sequence[Clip]) -> torch.Tensor:
    """Encoder states of clips of one padded length, with the silence that follows them."""
    padded = np.zeros((len(clips), padded_length(len(clips[0]))), np.float32)
    for row, clip in enumerate(clips):
        padded[row, : len(clip)] = clip
    samples = torch.from_numpy(padded).to(model.device)
    mels = log_mel(samples, model.config.num_mel_bins).to(model.dtype)
    return with_silence(encode(model, mels), silence)

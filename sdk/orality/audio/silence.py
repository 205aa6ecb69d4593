"""Where a recording is silent: what transcribers leave out, and where they may cut."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orality.types import Waveform

__all__ = [
    "FRAME_SECONDS", "SILENCE_DBFS", "cut_at_silence", "frame_power", "is_silent", "voiced_seconds",
]  # fmt: skip

FRAME_SECONDS = 0.02
SILENCE_DBFS = -55.0
_LEAST_FRAMES = 3  # 60 ms: the shortest sound that is taken for speech
# Noise that never ends is no speech: sound has to stand out from the quietest tenth of a recording,
# unless it is louder than a quiet room recorded badly.
_ABOVE_NOISE_DB, _LOUD_DBFS = 6.0, -40.0


def frame_power(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """Of each whole 20 ms around its own mean, so that an offset is no sound: (frames,)."""
    frame = round(FRAME_SECONDS * sample_rate)
    count = len(samples) // frame
    frames = samples[: count * frame].reshape(count, frame).astype(np.float64)
    return np.asarray(frames.var(axis=1)) if count else np.zeros(0)


def is_silent(samples: NDArray[np.float32], sample_rate: int) -> bool:
    """Whether less than 60 ms are louder than -55 dB of full scale."""
    power = frame_power(samples, sample_rate)
    return int((power > 10 ** (SILENCE_DBFS / 10)).sum()) < _LEAST_FRAMES


def voiced_seconds(waveform: Waveform) -> float:
    """Seconds of sound that may be speech: 0.0 for silence, an offset, clicks and faint noise.

    Counted are runs of at least 60 ms, each 20 ms of them louder than -55 dB of full scale and
    than 6 dB above the quietest tenth of the recording; above -40 dB everything counts. This tells
    sound from silence, not speech from other sounds: music and loud noise count.
    """
    power = frame_power(np.nan_to_num(waveform.samples), waveform.sample_rate)
    if len(power) == 0:
        return 0.0
    noise = float(np.quantile(power, 0.1)) * 10 ** (_ABOVE_NOISE_DB / 10)
    least = max(10 ** (SILENCE_DBFS / 10), min(noise, 10 ** (_LOUD_DBFS / 10)))
    edges = np.flatnonzero(np.diff(power > least, prepend=False, append=False))
    runs = edges[1::2] - edges[::2]  # frames
    return float(runs[runs >= _LEAST_FRAMES].sum()) * FRAME_SECONDS


def cut_at_silence(
    samples: NDArray[np.float32], sample_rate: int, *, longest: float, search: float
) -> list[tuple[int, NDArray[np.float32]]]:
    """(first sample, samples): pieces of at most `longest` seconds, in order.

    Each is cut at the quietest 20 ms of its last `search` seconds.
    """
    frame, most = round(FRAME_SECONDS * sample_rate), round(longest * sample_rate)
    pieces, start = [], 0
    while len(samples) - start > most:
        first = start + most - round(search * sample_rate)
        quietest = int(frame_power(samples[first : start + most], sample_rate).argmin())
        end = first + quietest * frame + frame // 2
        pieces.append((start, samples[start:end]))
        start = end
    return [*pieces, (start, samples[start:])]

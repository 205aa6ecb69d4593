"""Cutting recordings into what the encoder can hold, and telling silence from speech."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orality_asr_whisper.features import SAMPLE_RATE

LONGEST = 24 * SAMPLE_RATE  # five seconds of silence still fit behind it
_SEARCH = 8 * SAMPLE_RATE  # a cut is looked for in the last so many samples
_FRAME = SAMPLE_RATE // 50
FRAME_SECONDS = 0.02
_TAIL = SAMPLE_RATE // 2  # the encoder hears the end of the last word
_STEP = SAMPLE_RATE

SILENCE_DBFS = -55.0
SHORTEST_SPEECH = 0.06


def frame_power(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Of each whole 20 ms around its mean, so that an offset is no sound: (frames,)."""
    frames = len(samples) // _FRAME
    shaped = samples[: frames * _FRAME].reshape(frames, _FRAME).astype(np.float64)
    return np.asarray(shaped.var(axis=1)) if frames else np.zeros(0)


def is_silent(samples: NDArray[np.float32]) -> bool:
    """Whether fewer than 60 ms of 20 ms frames are louder than -55 dB of full scale."""
    loud = int((frame_power(samples) > 10 ** (SILENCE_DBFS / 10)).sum())
    return loud * _FRAME / SAMPLE_RATE < SHORTEST_SPEECH


def cut(samples: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Pieces of at most 24 s, cut at the quietest 20 ms of the last 8 s of each."""
    pieces = []
    while len(samples) > LONGEST:
        quietest = int(frame_power(samples[LONGEST - _SEARCH : LONGEST]).argmin())
        end = LONGEST - _SEARCH + quietest * _FRAME + _FRAME // 2
        pieces.append(samples[:end])
        samples = samples[end:]
    return [*pieces, samples]


def padded_length(length: int) -> int:
    """Samples of the padded clip: at least half a second of silence, whole seconds.

    It depends on the clip alone, so clips of one padded length batch without changing each other.
    """
    return -(-(length + _TAIL) // _STEP) * _STEP

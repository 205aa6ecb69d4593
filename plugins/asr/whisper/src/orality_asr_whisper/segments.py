"""Cutting recordings into what the encoder can hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orality.audio.silence import cut_at_silence
from orality_asr_whisper.features import SAMPLE_RATE

LONGEST = 24 * SAMPLE_RATE  # five seconds of silence still fit behind it
_SEARCH = 8.0  # seconds; a cut is looked for in the last ones
_TAIL = SAMPLE_RATE // 2  # the encoder hears the end of the last word
_STEP = SAMPLE_RATE


def cut(samples: NDArray[np.float32]) -> list[tuple[int, NDArray[np.float32]]]:
    """(first sample, samples): pieces that the encoder can hold, cut at quiet places."""
    return cut_at_silence(samples, SAMPLE_RATE, longest=LONGEST / SAMPLE_RATE, search=_SEARCH)


def padded_length(length: int) -> int:
    """Samples of the padded clip: at least half a second of silence, whole seconds.

    It depends on the clip alone, so clips of one padded length batch without changing each other.
    """
    return -(-(length + _TAIL) // _STEP) * _STEP

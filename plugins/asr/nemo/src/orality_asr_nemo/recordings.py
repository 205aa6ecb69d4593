"""Recordings as the models want them: cut where long, left out where silent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LONGEST, _SEARCH = 40.0, 10.0  # seconds; a cut is looked for in the last ones
_FRAME = 0.02
_SILENCE_DBFS, _SHORTEST_SPEECH = -55.0, 0.06


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Part of the recording `index` of a batch, from `start` seconds on."""

    index: int
    start: float
    samples: NDArray[np.float32]


def is_silent(samples: NDArray[np.float32], sample_rate: int) -> bool:
    """Whether less than 60 ms are louder than -55 dB of full scale; an offset is no sound."""
    power = _power(samples, sample_rate)
    return int((power > 10 ** (_SILENCE_DBFS / 10)).sum()) * _FRAME < _SHORTEST_SPEECH - 1e-9


def cut(samples: NDArray[np.float32], sample_rate: int) -> list[tuple[float, NDArray[np.float32]]]:
    """(start in seconds, samples): pieces of at most 40 s, cut at the quietest 20 ms of the last
    10 s of each."""
    frame, longest = round(_FRAME * sample_rate), round(_LONGEST * sample_rate)
    pieces, start = [], 0
    while len(samples) - start > longest:
        first = start + longest - round(_SEARCH * sample_rate)
        quietest = int(_power(samples[first : start + longest], sample_rate).argmin())
        end = first + quietest * frame + frame // 2
        pieces.append((start / sample_rate, samples[start:end]))
        start = end
    return [*pieces, (start / sample_rate, samples[start:])]


def _power(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """Of the sound around each 20 ms frame's own mean: (frames,)."""
    frame = round(_FRAME * sample_rate)
    whole = len(samples) // frame * frame
    frames = samples[:whole].reshape(-1, frame).astype(np.float64)
    return np.asarray(frames.var(axis=1)) if len(frames) else np.zeros(0)

"""Recordings as the models want them: cut where long, left out where silent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orality.audio.silence import cut_at_silence

_LONGEST, _SEARCH = 40.0, 10.0  # seconds; a cut is looked for in the last ones


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Part of the recording `index` of a batch, from `start` seconds on."""

    index: int
    start: float
    samples: NDArray[np.float32]


def cut(samples: NDArray[np.float32], sample_rate: int) -> list[tuple[float, NDArray[np.float32]]]:
    """(start in seconds, samples): pieces of at most 40 s, cut at quiet places."""
    pieces = cut_at_silence(samples, sample_rate, longest=_LONGEST, search=_SEARCH)
    return [(start / sample_rate, part) for start, part in pieces]

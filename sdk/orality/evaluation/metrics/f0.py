"""The fundamental frequency of recordings, by WORLD's Harvest (Morise, 2017)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from orality.evaluation.metrics.sound import missing_extra, samples_at
from orality.types import Waveform

RATE = 16_000


def f0_of(
    waveform: Waveform, *, frame_seconds: float = 0.02, low: float = 71.0, high: float = 500.0
) -> NDArray[np.float64]:
    """F0 in Hz of each frame, 0 where unvoiced, shape (frames,); bounds in Hz.

    Needs the extra `prosody`. Raises EvaluationError where it is missing, or for a recording that
    is empty or not finite.
    """
    try:
        import pyworld
    except ImportError as error:
        raise missing_extra("F0", "prosody", error) from error
    world: Any = pyworld
    samples = samples_at(waveform, RATE).astype(np.float64)
    found, _ = world.harvest(
        samples, RATE, f0_floor=low, f0_ceil=high, frame_period=1000 * frame_seconds
    )
    return np.asarray(found, dtype=np.float64)

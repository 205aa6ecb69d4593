"""What all metrics that listen ask of a recording, and how they say which package is missing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orality.audio import resample
from orality.errors import EvaluationError
from orality.types import Waveform


def samples_at(waveform: Waveform, sample_rate: int) -> NDArray[np.float32]:
    """A recording's samples at `sample_rate` Hz, float32, within [-1, 1].

    Raises EvaluationError for a recording that is empty, of more than one channel, or holds
    something else than finite numbers.
    """
    given = np.asarray(waveform.samples, dtype=np.float32)
    if given.ndim != 1 or not len(given):
        raise EvaluationError(f"wanted a mono recording with samples, got shape {given.shape}")
    if not np.isfinite(given).all():
        raise EvaluationError("the recording holds samples that are no finite numbers")
    found = resample(Waveform(given, waveform.sample_rate), sample_rate).samples
    return np.clip(found, -1.0, 1.0)


def missing_extra(what: str, extra: str, error: ImportError) -> EvaluationError:
    """The error that says what to install."""
    return EvaluationError(f"{what} needs more packages ({error}): pip install 'orality[{extra}]'")

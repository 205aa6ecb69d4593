"""NISQA v2.0 through torchmetrics: overall quality and four of its dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orality.errors import EvaluationError
from orality.evaluation.metrics.sound import missing_extra, samples_at
from orality.types import Waveform

RATE = 48_000


@dataclass(frozen=True, slots=True)
class Nisqa:
    """Estimated mean opinions from 1 to 5."""

    overall: float
    noisiness: float
    discontinuity: float
    coloration: float
    loudness: float


def nisqa(waveforms: Sequence[Waveform]) -> list[Nisqa]:
    """NISQA of each recording; torchmetrics fetches the weights (about 1 MB) once.

    Needs the extra `nisqa`. Raises EvaluationError where it is missing, the weights cannot be
    fetched, or a recording is too short, empty or not finite. Mittag et al. (Interspeech 2021).
    """
    try:
        import librosa  # noqa: F401  (torchmetrics asks for it only at work)
        import requests  # noqa: F401
        import torch
        from torchmetrics.functional.audio.nisqa import non_intrusive_speech_quality_assessment
    except ImportError as error:
        raise missing_extra("NISQA", "nisqa", error) from error
    found = []
    for waveform in waveforms:
        samples = torch.from_numpy(samples_at(waveform, RATE))
        try:
            values = non_intrusive_speech_quality_assessment(samples, RATE)
        except (OSError, RuntimeError, ValueError) as error:
            raise EvaluationError(f"NISQA could not judge a recording: {error}") from error
        found.append(Nisqa(*(float(value) for value in values)))
    return found

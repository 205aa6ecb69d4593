"""Speech inside a page: recordings as small Vorbis data, with the outline of their loudness."""

from __future__ import annotations

import base64
import io
import logging
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile

from orality.audio import read_audio
from orality.errors import AudioError
from orality.types import Waveform

SAMPLE_RATE = 16_000  # Hz
BARS = 44  # of an outline
logger = logging.getLogger(__name__)

# libsndfile's scale for Vorbis: about 31 kbit/s for mono speech. Opus would sound a little better
# at that rate but takes fifteen times as long to encode, minutes for a page.
_COMPRESSION = 0.9


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording to embed. `outline`: SVG path data in a box of 2 * BARS by 24."""

    data: str
    seconds: float
    outline: str

    @property
    def size(self) -> int:
        """Bytes this clip adds to the page."""
        return len(self.data) + len(self.outline)


def embed(path: Path | None) -> Clip | None:
    """The recording as a clip; None, with a warning in the log, if it cannot be read."""
    if path is None:
        return None
    try:
        waveform = read_audio(path, sample_rate=SAMPLE_RATE)
    except AudioError as error:
        logger.warning("left out of the report: %s", error)
        return None
    buffer = io.BytesIO()
    soundfile.write(
        buffer,
        waveform.samples,
        SAMPLE_RATE,
        format="OGG",
        subtype="VORBIS",
        compression_level=_COMPRESSION,
    )
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Clip(
        f"data:audio/ogg;base64,{data}", len(waveform.samples) / SAMPLE_RATE, outline(waveform)
    )


def outline(waveform: Waveform) -> str:
    """Vertical strokes, one per slice of time, as high as the slice's root mean square."""
    edges = np.linspace(0, len(waveform.samples), BARS + 1).astype(int)
    power = [
        float(np.sqrt(np.mean(np.square(waveform.samples[start:end])))) if end > start else 0.0
        for start, end in pairwise(edges)
    ]
    loudest = max(power)
    strokes = []
    for index, value in enumerate(power):
        height = 1.0 + 20.0 * (value / loudest) ** 0.7 if loudest > 1e-4 else 1.0
        strokes.append(f"M{2 * index + 1} {12 - height / 2:.1f}v{height:.1f}")
    return "".join(strokes)

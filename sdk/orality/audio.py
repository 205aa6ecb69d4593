"""Reading, writing and resampling speech: any format libsndfile knows, always mono float32."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

from orality.errors import AudioError
from orality.types import Waveform

MAX_SECONDS = 3600.0


def read_audio(
    source: str | Path | BinaryIO,
    *,
    sample_rate: int | None = None,
    max_seconds: float = MAX_SECONDS,
) -> Waveform:
    """Read a recording as mono float32 in [-1, 1], resampled when `sample_rate` is given.

    Channels are averaged; samples beyond [-1, 1] are clipped. Raises AudioError, naming the
    file, when it is missing, empty, not audio, holds NaN or Inf, or exceeds `max_seconds`.
    """
    name = str(source) if isinstance(source, str | Path) else "the given stream"
    try:
        with soundfile.SoundFile(source) as file:
            if file.frames > max_seconds * file.samplerate:
                raise AudioError(
                    f"{name} lasts {file.frames / file.samplerate:.0f} s, more than the "
                    f"{max_seconds:.0f} s accepted; cut it into shorter recordings"
                )
            samples = file.read(dtype="float32", always_2d=True)
            rate = int(file.samplerate)
    except (soundfile.SoundFileError, OSError, RuntimeError, TypeError) as error:
        raise AudioError(f"{name} cannot be read as audio: {error}") from error
    if len(samples) == 0:
        raise AudioError(f"{name} holds no samples")
    mono = samples.mean(axis=1)
    if not np.isfinite(mono).all():
        raise AudioError(f"{name} holds samples that are not finite numbers")
    waveform = Waveform(np.clip(mono, -1.0, 1.0).astype(np.float32), rate)
    return waveform if sample_rate is None else resample(waveform, sample_rate)


def resample(waveform: Waveform, sample_rate: int) -> Waveform:
    """The same speech at `sample_rate` Hz (soxr, high quality); unchanged if it already is."""
    if waveform.sample_rate == sample_rate:
        return waveform
    samples = soxr.resample(waveform.samples, waveform.sample_rate, sample_rate, quality="HQ")
    return Waveform(np.asarray(samples, dtype=np.float32), sample_rate)


def write_audio(path: str | Path, waveform: Waveform) -> None:
    """Write a recording; the suffix picks the format (.flac and .wav as 16 bit, .ogg as Opus)."""
    path = Path(path)
    subtype = "OPUS" if path.suffix.lower() in {".ogg", ".opus"} else "PCM_16"
    kind = {".ogg": "OGG", ".opus": "OGG"}.get(path.suffix.lower(), path.suffix[1:].upper())
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(
        str(path),
        np.clip(waveform.samples, -1.0, 1.0),
        waveform.sample_rate,
        format=kind,
        subtype=subtype,
    )

"""Reading, writing and resampling speech: any format libsndfile knows, always mono float32."""

from __future__ import annotations

import io
import math
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from orality.audio.headers import missing
from orality.errors import AudioError, AudioLimitError
from orality.store.files import atomic_write
from orality.types import Waveform

MAX_SECONDS = 3600.0
MAX_RATE, MAX_CHANNELS = 400_000, 64
_UNKNOWN = 2**62  # frames: what libsndfile says of a FLAC that was written as a stream
_BLOCK = 1 << 16
_MISMATCH = 0.1  # seconds by which a header and a slice's list may be wrong about the length


@dataclass(frozen=True, slots=True)
class AudioLimits:
    """How much is decoded at most: `seconds` of sound, and files of `size` bytes read as a whole
    (of a slice only the seconds count, since the rest of its file is left alone)."""

    seconds: float = MAX_SECONDS
    size: int = 2 * 2**30


def read_audio(
    source: str | Path | BinaryIO,
    *,
    sample_rate: int | None = None,
    max_seconds: float = MAX_SECONDS,
    max_bytes: int | None = None,
    start: float = 0.0,
    seconds: float | None = None,
    channel: int | None = None,
    name: str | None = None,
) -> Waveform:
    """Read a recording as mono float32 in [-1, 1], resampled when `sample_rate` is given.

    `start` and `seconds` read a slice, `channel` one channel alone (counted from 0); else channels
    are averaged. Float samples beyond [-1, 1] are scaled down together. Raises AudioError, calling
    the source by `name`, when it is missing, no regular file, empty, not audio, shorter than it
    says, or holds NaN or Inf; AudioLimitError when it exceeds `max_seconds` or `max_bytes`.
    """
    readable: bytes | BinaryIO
    if isinstance(source, str | Path):
        name = name or printable(source)
        readable = _checked(source, name, max_bytes if seconds is None else None)
    else:
        name, readable = name or "the given stream", source
    if not (math.isfinite(start) and math.isfinite(seconds or 0.0)):
        raise AudioError(f"{name}: {seconds} s from {start} s on are not part of a recording")
    try:
        _check_whole(readable, name)
        with _SoundFile(readable) as file:
            rate = int(file.samplerate)
            if rate > MAX_RATE or file.channels > MAX_CHANNELS:
                raise AudioLimitError(
                    f"{name} has {file.channels} channels at {rate} Hz; at most {MAX_CHANNELS} at "
                    f"{MAX_RATE} Hz are accepted"
                )
            samples = _decode(file, name, rate, start, seconds, max_seconds)
    except (soundfile.SoundFileError, OSError, RuntimeError, TypeError, ValueError) as error:
        reason = getattr(error, "error_string", error)  # without the path, which comes first here
        raise AudioError(f"{name} cannot be read as audio: {reason}") from error
    if len(samples) == 0:
        raise AudioError(f"{name} holds no samples")
    if channel is not None and not 0 <= channel < samples.shape[1]:
        raise AudioError(f"{name} has {samples.shape[1]} channels, none with the number {channel}")
    # The mean in double precision: huge floats must not overflow on the way.
    mono = samples.mean(axis=1, dtype=np.float64) if channel is None else samples[:, channel]
    if not np.isfinite(mono).all():
        raise AudioError(f"{name} holds samples that are not finite numbers")
    peak = max(1.0, float(np.abs(mono).max()))
    waveform = Waveform((mono / peak).astype(np.float32), rate)
    return waveform if sample_rate is None else resample(waveform, sample_rate)


class _SoundFile(soundfile.SoundFile):  # type: ignore[misc]
    """One that does not seek, as soundfile does after every read, where libsndfile cannot."""

    def seekable(self) -> bool:
        return self.frames < _UNKNOWN and bool(super().seekable())


def printable(path: str | Path) -> str:
    """A path as valid text, whatever bytes its name is made of."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _checked(path: str | Path, name: str, max_bytes: int | None) -> bytes:
    """The path as bytes, which soundfile takes for any name, once there is a readable file."""
    encoded = os.fsencode(path)
    try:
        # Opened here, since libsndfile calls every failure a "system error"; a pipe would block.
        found = os.stat(encoded)
        if not stat.S_ISREG(found.st_mode):
            raise AudioError(f"{name} cannot be read as audio: it is no regular file")
        os.close(os.open(encoded, os.O_RDONLY))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise AudioError(f"{name} cannot be read as audio: {reason or error}") from error
    if max_bytes is not None and found.st_size > max_bytes:
        raise AudioLimitError(
            f"{name} has {found.st_size} bytes, more than the {max_bytes} accepted"
        )
    return encoded


def _check_whole(readable: bytes | BinaryIO, name: str) -> None:
    """AudioError for a file that was cut."""
    if isinstance(readable, bytes):
        with open(readable, "rb") as file:
            reason = missing(file)
    else:
        place = readable.tell()
        reason = missing(readable)
        readable.seek(place)
    if reason is not None:
        raise AudioError(f"{name} cannot be read as audio: it is not whole, {reason}")


def _decode(
    file: soundfile.SoundFile,
    name: str,
    rate: int,
    start: float,
    seconds: float | None,
    max_seconds: float,
) -> NDArray[np.float32]:
    """Samples of a slice or the whole, (frames, channels)."""
    first = round(start * rate)
    known = file.frames < _UNKNOWN
    total = file.frames if known else first + round((seconds or max_seconds) * rate) + 1
    streamed = None if known else _stream(file, total)
    total = total if streamed is None else len(streamed)
    frames = total - first if seconds is None else round(seconds * rate)
    spare = round(_MISMATCH * rate)
    if not 0 <= first <= total or first + frames > total + spare:
        raise AudioError(
            f"{name} lasts {total / rate:.2f} s, and "
            f"{start:.2f} s to {(first + frames) / rate:.2f} s was asked for"
        )
    if frames > max_seconds * rate:
        raise AudioLimitError(
            f"{name} lasts {frames / rate:.0f} s, more than the "
            f"{max_seconds:.0f} s accepted; cut it into shorter recordings"
        )
    if streamed is not None:
        return streamed[first : first + frames]
    if first:
        file.seek(first)
    samples: NDArray[np.float32] = file.read(frames, dtype="float32", always_2d=True)
    if len(samples) < frames - spare:
        raise AudioError(
            f"{name} cannot be read as audio: it ends after {len(samples) / rate:.2f} s of the "
            f"{frames / rate:.2f} s it should have"
        )
    return samples


def _stream(file: soundfile.SoundFile, most: int) -> NDArray[np.float32]:
    """Up to `most` frames of a file that tells no length; libsndfile cannot seek in it either."""
    blocks, count = [], 0
    while count < most:
        block = file.read(min(_BLOCK, most - count), dtype="float32", always_2d=True)
        blocks.append(block)
        count += len(block)
        if len(block) == 0:
            break
    return np.concatenate(blocks)


def resample(waveform: Waveform, sample_rate: int) -> Waveform:
    """The same speech at `sample_rate` Hz (soxr, high quality); unchanged if it already is."""
    if waveform.sample_rate == sample_rate:
        return waveform
    samples = soxr.resample(waveform.samples, waveform.sample_rate, sample_rate, quality="HQ")
    return Waveform(np.asarray(samples, dtype=np.float32), sample_rate)


def write_audio(path: str | Path, waveform: Waveform) -> None:
    """Write a recording, whole or not at all; the suffix picks the format.

    .flac and .wav as 16 bit, .ogg as Opus. StoreError when it cannot be written. It is on disk for
    good only after `orality.store.sync_files`.
    """
    path = Path(path)
    subtype = "OPUS" if path.suffix.lower() in {".ogg", ".opus"} else "PCM_16"
    kind = {".ogg": "OGG", ".opus": "OGG"}.get(path.suffix.lower(), path.suffix[1:].upper())
    # In memory, since libsndfile writes small pieces and says nothing of a full disk.
    encoded = io.BytesIO()
    samples = np.clip(waveform.samples, -1.0, 1.0)
    soundfile.write(encoded, samples, waveform.sample_rate, format=kind, subtype=subtype)
    atomic_write(path, lambda file: file.write(encoded.getbuffer()), sync=False)

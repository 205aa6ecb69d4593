"""Sound: files, their headers, silence, and the alignment of words to it."""

from orality.audio.io import (
    MAX_SECONDS,
    AudioLimits,
    printable,
    read_audio,
    resample,
    write_audio,
)

__all__ = [
    "MAX_SECONDS",
    "AudioLimits",
    "printable",
    "read_audio",
    "resample",
    "write_audio",
]

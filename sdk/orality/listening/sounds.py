"""Recordings as raters get them: one rate, no metadata, names that say nothing."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile

from orality.audio import read_audio
from orality.errors import EvaluationError
from orality.listening.design import Design
from orality.types import Waveform

SAMPLE_RATE = 16_000  # Hz
PAUSE = 0.6  # seconds between a prompt and its continuation where they are one recording
Load = Callable[[], Waveform]


def clips_of(design: Design) -> dict[str, Load]:
    """How to get each clip of a design, by its random name."""
    found: dict[str, Load] = {}
    for trial in design.trials:
        sample = trial.samples[0]
        found[trial.clips[0]] = _reader(sample.prompt_audio)
        for clip, heard in zip(trial.clips[1:], trial.samples, strict=True):
            found[clip] = _reader(heard.audio, backwards=clip == trial.backwards)
    return found


def encode(waveform: Waveform, suffix: str) -> bytes:
    """A recording as the bytes of an .mp3 (every browser plays it) or a 16-bit .wav."""
    if suffix == ".mp3" and "MP3" not in soundfile.available_formats():
        raise EvaluationError(
            "this libsndfile cannot write MP3, which every browser plays; install soundfile from a "
            "wheel, which brings one that can"
        )
    kind, subtype = {".mp3": ("MP3", "MPEG_LAYER_III"), ".wav": ("WAV", "PCM_16")}[suffix]
    buffer = io.BytesIO()
    soundfile.write(buffer, waveform.samples, waveform.sample_rate, format=kind, subtype=subtype)
    return buffer.getvalue()


def embedded(clips: Mapping[str, Load]) -> dict[str, str]:
    """Clips as data URIs."""
    return {
        name: "data:audio/mpeg;base64," + base64.b64encode(encode(load(), ".mp3")).decode("ascii")
        for name, load in clips.items()
    }


def write_clips(folder: Path, clips: Mapping[str, Load]) -> None:
    """Write each clip as `folder`/NAME.mp3."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, load in clips.items():
        (folder / f"{name}.mp3").write_bytes(encode(load(), ".mp3"))


def joined(parts: Sequence[Waveform]) -> Waveform:
    """Recordings one after the other with pauses, for players that have only one."""
    silence = np.zeros(int(PAUSE * SAMPLE_RATE), dtype=np.float32)
    pieces = [piece for part in parts for piece in (silence, part.samples)][1:]
    return Waveform(np.concatenate(pieces), SAMPLE_RATE)


def _reader(path: Path, *, backwards: bool = False) -> Load:
    def load() -> Waveform:
        waveform = read_audio(path, sample_rate=SAMPLE_RATE)
        if backwards:
            return Waveform(np.ascontiguousarray(waveform.samples[::-1]), SAMPLE_RATE)
        return waveform

    return load

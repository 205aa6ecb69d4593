"""DNSMOS P.835: how good a listener would find speech and background, from the recording alone.

The networks come with the package speechmos (MIT); its code is not run, because the one thing it
takes librosa for is the spectrogram below. Reddy, Gopal and Cutler (ICASSP 2022).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orality.errors import EvaluationError
from orality.evaluation.metrics.sound import missing_extra, samples_at
from orality.types import Waveform

RATE = 16_000
_CLIP = int(9.01 * RATE)  # what the networks hear at a time; the next clip starts a second later
_FFT, _HOP, _BANDS = 321, 160, 120
# From the networks' outputs to the scale of P.835, highest power first.
_SPEECH = (-0.08397278, 1.22083953, 0.0052439)
_BACKGROUND = (-0.13166888, 1.60915514, -0.39604546)
_OVERALL = (-0.06766283, 1.11546468, 0.04602535)

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class DnsMos:
    """Estimated mean opinions from 1 to 5: P.835's overall, speech, background, and P.808's."""

    overall: float
    speech: float
    background: float
    p808: float


def dnsmos(waveforms: Sequence[Waveform]) -> list[DnsMos]:
    """DNSMOS of each recording, the mean over its clips of 9 s; a shorter one is repeated.

    Needs the extra `mos`. Raises EvaluationError where it is missing, or a recording is empty or
    not finite.
    """
    listen = load_dnsmos()
    return [listen(waveform) for waveform in waveforms]


def load_dnsmos() -> Callable[[Waveform], DnsMos]:
    """The networks, ready to listen to one recording at a time."""
    try:
        import onnxruntime
    except ImportError as error:
        raise missing_extra("DNSMOS", "mos", error) from error
    found = importlib.util.find_spec("speechmos")
    if found is None or not found.submodule_search_locations:
        raise missing_extra("DNSMOS", "mos", ImportError("No module named 'speechmos'"))
    folder = Path(found.submodule_search_locations[0]) / "dnsmos_models"
    sessions = []
    for name in ("sig_bak_ovr.onnx", "model_v8.onnx"):
        if not (folder / name).is_file():
            raise EvaluationError(f"{folder} holds no {name}; install speechmos 0.0.1.1 anew")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        providers = ["CPUExecutionProvider"]
        sessions.append(onnxruntime.InferenceSession(str(folder / name), options, providers))
    bank = mel_bank()
    return lambda waveform: _listen(samples_at(waveform, RATE), sessions, bank)


def _listen(samples: Array, sessions: Sequence[Any], bank: Array) -> DnsMos:
    while len(samples) < _CLIP:
        samples = np.concatenate([samples, samples])
    count = int(len(samples) // RATE - 9.01) + 1
    raw, p808 = [], []
    for start in range(0, max(count, 1) * RATE, RATE):
        clip = samples[start : start + _CLIP]
        if len(clip) < _CLIP:
            continue
        (outputs,) = sessions[0].run(None, {"input_1": clip[None]})
        raw.append(outputs[0])
        spectrogram = mel_spectrogram(clip[:-_HOP], bank)
        p808.append(sessions[1].run(None, {"input_1": spectrogram[None]})[0][0][0])
    speech, background, overall = (
        float(np.mean(np.polyval(power, [clip[place] for clip in raw])))
        for place, power in enumerate((_SPEECH, _BACKGROUND, _OVERALL))
    )
    return DnsMos(overall, speech, background, float(np.mean(p808)))


def mel_spectrogram(samples: Array, bank: Array) -> Array:
    """(frames, bands): power in decibels below the loudest, floored at -80, as (dB + 40) / 40."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FFT) / _FFT)
    padded = np.pad(samples.astype(np.float64), _FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_HOP] * window
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2 @ bank.T
    decibels = 10 * np.log10(np.maximum(power, 1e-10) / max(float(power.max()), 1e-10))
    return np.asarray((np.maximum(decibels, decibels.max() - 80) + 40) / 40, dtype=np.float32)


def mel_bank() -> Array:
    """(bands, frequencies): Slaney's triangles of equal area, from 0 Hz to half the rate."""
    edges = _hertz(np.linspace(0.0, _mel(RATE / 2), _BANDS + 2))
    frequencies = np.fft.rfftfreq(_FFT, 1 / RATE)
    rising = (frequencies - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - frequencies) / np.diff(edges)[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return np.asarray(triangles * (2 / (edges[2:] - edges[:-2]))[:, None], dtype=np.float32)


# Slaney's scale: linear to 1000 Hz (15 mel), then 27 steps to each factor of 6.4.
def _mel(hertz: float) -> float:
    return 15 + 27 * float(np.log(hertz / 1000) / np.log(6.4)) if hertz > 1000 else hertz * 3 / 200


def _hertz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mels > 15, 1000 * 6.4 ** ((mels - 15) / 27), mels * 200 / 3)

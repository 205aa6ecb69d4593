from __future__ import annotations

import numpy as np
import pytest

from orality import Waveform
from orality.audio.silence import voiced_seconds

RATE = 16_000


def noise(seconds: float, dbfs: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (10 ** (dbfs / 20) * rng.normal(size=int(seconds * RATE))).astype(np.float32)


def bursts(level: float) -> np.ndarray:
    """Four seconds, of which [1, 1.5) and [2.5, 3) are a tone."""
    samples = np.zeros(4 * RATE, np.float32)
    tone = (level * np.sin(2 * np.pi * 200 * np.arange(RATE // 2) / RATE)).astype(np.float32)
    samples[RATE : RATE + RATE // 2] = tone
    samples[2 * RATE + RATE // 2 : 3 * RATE] = tone
    return samples


def voiced(samples: np.ndarray) -> float:
    return voiced_seconds(Waveform(samples.astype(np.float32), RATE))


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(0),
        np.zeros(100),
        np.zeros(3 * RATE),
        np.full(3 * RATE, 0.5),
        np.full(3 * RATE, -0.9) + noise(3, -60),
        noise(3, -60),
        noise(3, -48),  # louder than -55 dB, but it never changes
        np.where(np.arange(3 * RATE) % RATE < 200, 0.9, 0.0),  # clicks of 12.5 ms
    ],
)
def test_silence_offsets_faint_noise_and_clicks_are_not_voiced(samples):
    assert voiced(samples) == 0.0


@pytest.mark.parametrize("offset", [0.0, 0.4, -0.4])
@pytest.mark.parametrize("floor", [-90.0, -60.0, -50.0])
@pytest.mark.parametrize("level", [0.5, 0.02])
def test_a_second_of_sound_is_a_second_in_noise_and_with_an_offset(offset, floor, level):
    assert voiced(bursts(level) + noise(4, floor) + offset) == pytest.approx(1.0)


def test_sound_without_a_pause_counts_where_it_is_not_faint():
    assert voiced(noise(2, -20)) == pytest.approx(2.0)


def test_the_rate_of_the_recording_is_minded():
    samples = noise(2, -20)
    assert voiced_seconds(Waveform(samples, 8_000)) == pytest.approx(4.0)

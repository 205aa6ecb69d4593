from __future__ import annotations

import numpy as np
import pytest

from orality import AudioError, Waveform


@pytest.mark.parametrize("kind", ["int8", "int16", "int32"])
def test_whole_numbers_are_scaled_by_what_their_type_holds(kind):
    least = np.iinfo(kind).min
    waveform = Waveform(np.array([least, 0, least // 2], kind), 16_000)
    assert waveform.samples.dtype == np.float32
    assert waveform.samples.tolist() == [-1.0, 0.0, -0.5]


@pytest.mark.parametrize("samples", [np.array([True]), np.array([1], "uint8"), np.array([1j])])
def test_what_is_no_sound_is_refused(samples):
    with pytest.raises(AudioError, match="wanted float32"):
        Waveform(samples, 16_000)


def test_floats_are_taken_as_they_are():
    samples = np.array([0.5], np.float32)
    assert Waveform(samples, 16_000).samples is samples

from __future__ import annotations

import numpy as np
import pytest

from orality import Waveform, Word
from orality.corpus import cut_at_pause, cut_at_word


def words(*times):
    return [Word(f"w{index}", start, end) for index, (start, end) in enumerate(times)]


@pytest.mark.parametrize(
    ("times", "duration", "expected"),
    [
        ([(0, 2.9), (2.9, 3.4), (3.4, 6)], 7.0, 2.9),  # ends meet: the nearest end
        ([(0, 2.8), (3.0, 6.0)], 7.0, 2.9),  # a pause: its middle
        ([(0, 2.5), (2.5, 3.5), (3.5, 6)], 7.0, 2.5),  # a tie: the earlier
        ([(0, 1.0), (1.0, 5.9)], 7.0, 1.0),  # 5.9 is nearer than nothing, but 1.0 is nearer still
        ([(0, 6.5)], 7.0, None),  # less than a second would remain
        ([(0, 5.5), (5.5, 6.0)], 7.0, 5.5),
        ([], 7.0, None),
        ([(0.2, 0.4), (6.3, 6.8)], 7.0, 3.35),  # a long pause: its middle
    ],
)
def test_the_cut_is_at_the_boundary_nearest_three_seconds(times, duration, expected):
    assert cut_at_word(words(*times), duration) == (
        None if expected is None else pytest.approx(expected)
    )


def test_silence_in_an_alignment_is_no_word():
    spoken = [Word("", 0.0, 3.0), Word("tom", 3.0, 3.5), Word("ran", 3.5, 6.0)]
    assert cut_at_word(spoken, 7.0) == pytest.approx(3.5)


def test_without_an_alignment_the_cut_is_in_the_quietest_place():
    rate = 16_000
    samples = np.random.default_rng(0).normal(0, 0.1, 7 * rate).astype(np.float32)
    samples[int(2.7 * rate) : int(2.8 * rate)] = 0
    assert cut_at_pause(Waveform(samples, rate)) == pytest.approx(2.75, abs=0.04)


def test_a_recording_that_is_too_short_has_no_cut():
    assert cut_at_pause(Waveform(np.zeros(3 * 16_000, dtype=np.float32), 16_000)) is None

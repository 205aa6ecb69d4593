from __future__ import annotations

import numpy as np
import pytest

from orality import Waveform, Word
from orality.corpus import cut_at_pause, cut_at_word
from orality.corpus.cut import cut_sample


def words(*times):
    return [Word(f"w{index}", start, end) for index, (start, end) in enumerate(times)]


# (words as start and end in seconds, seconds of the recording, rate, first sample after the cut).
# By hand: boundaries b are ends, or the middle of the pause behind a word; of those with
# 0 < b <= seconds - 1 the one with the least |b - 3|, the earlier on a tie; times the rate.
EXACT = [
    # ends that meet: |2.9 - 3| = 0.1 < |3.4 - 3|
    ([(0, 2.9), (2.9, 3.4), (3.4, 6.0)], 7.0, 16_000, 46_400),
    # a word ends at 3 s sharp
    ([(0, 1.0), (1.0, 3.0), (3.0, 6.5)], 8.0, 16_000, 48_000),
    # a pause from 2.8 to 3.0: its middle is 2.9
    ([(0, 2.8), (3.0, 6.0)], 7.0, 16_000, 46_400),
    # the middle of the pause counts, 3.1, not the end before it, 2.6
    ([(0, 2.6), (3.6, 4.0), (4.0, 6.0)], 8.0, 16_000, 49_600),
    # a tie, 2.5 and 3.5: the earlier
    ([(0, 2.5), (2.5, 3.5), (3.5, 6.0)], 7.0, 16_000, 40_000),
    # a tie only up to rounding, 2.9 and 3.1, the later given as the sum 1.1 + 2.0
    ([(0, 2.9), (2.9, 1.1 + 2.0), (3.1, 6.0)], 7.0, 16_000, 46_400),
    # a tie of middles, (2.6 + 3.0) / 2 = 2.8 and (3.1 + 3.3) / 2 = 3.2
    ([(0, 2.6), (3.0, 3.1), (3.3, 6.0)], 7.0, 16_000, 44_800),
    # the first word lasts beyond 3 s: one word stays in the prompt
    ([(0, 4.5), (4.5, 6.0)], 7.0, 16_000, 72_000),
    # nothing is said until 3.5: the first end, however late
    ([(3.5, 3.9), (3.9, 5.0)], 7.0, 16_000, 62_400),
    # 5.9 would be nearer 3 than nothing, but 1.0 is nearer still
    ([(0, 1.0), (1.0, 5.9)], 7.0, 16_000, 16_000),
    # exactly one second is left
    ([(0, 5.0), (5.0, 5.9)], 6.0, 16_000, 80_000),
    # 0.99 s would be left
    ([(0, 5.01), (5.01, 5.9)], 6.0, 16_000, None),
    # the earlier boundary is further from 3 s, but leaves a second: 0.4 instead of 5.2
    ([(0, 0.4), (0.4, 5.2)], 6.0, 16_000, 6_400),
    # one long word
    ([(0, 6.5)], 7.0, 16_000, None),
    # no word at all
    ([], 7.0, 16_000, None),
    # a word without length at the very start ends at 0, which is no cut
    ([(0, 0), (0, 2.0), (2.0, 6.5)], 7.0, 16_000, 32_000),
    # overlap: the end of the first word, inside the second
    ([(0, 3.05), (2.95, 4.0), (4.0, 6.0)], 7.0, 16_000, 48_800),
    # a word inside another one gives no boundary: only the long word's end
    ([(0, 3.6), (2.0, 2.9), (3.6, 6.0)], 7.0, 16_000, 57_600),
    # another rate, not a whole number of samples: 2.99 * 22050 = 65929.5 -> 65930
    ([(0, 2.99), (2.99, 6.0)], 7.0, 22_050, 65_930),
    # the middle between two samples: (46400 + 46401) / 2 / 16000 -> the later
    ([(0, 2.9), (2.9000625, 6.0)], 7.0, 16_000, 46_401),
]


@pytest.mark.parametrize(("times", "duration", "rate", "expected"), EXACT)
def test_the_cut_is_at_the_boundary_nearest_three_seconds(times, duration, rate, expected):
    for given in (words(*times), words(*times)[::-1]):  # in any order
        cut = cut_at_word(given, duration)
        assert (None if cut is None else cut_sample(cut, rate)) == expected


def test_there_are_twenty_exact_cases():
    assert len(EXACT) == 20


def test_times_that_are_no_numbers_are_no_boundaries():
    given = words((0, float("nan")), (0, 1.0), (1.0, float("inf")))
    assert cut_at_word(given, 7.0) == 1.0


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

"""Phone and word times from a synthesizer's symbols, by hand."""

from __future__ import annotations

import pytest

from orality.pretraining.stories.flite import align_words
from orality.pretraining.stories.joining import EDGE, Part, join, trim
from orality.pretraining.stories.phones import PHONES, arpabet, from_flite, phone_spans
from orality.pretraining.stories.speech import RATE, plain_words


def test_there_are_39_phones_and_a_pause() -> None:
    assert len(PHONES) == len(set(PHONES)) == 40
    assert PHONES[-1] == "pau"


def test_stress_lengthens_the_phone_that_follows() -> None:
    phones, words = phone_spans("ˈIz", [0.1, 0.2, 0.1])
    assert phones == [
        ("ay", 0.0, pytest.approx(0.3)),
        ("z", pytest.approx(0.3), pytest.approx(0.4)),
    ]
    assert words == [(0.0, pytest.approx(0.4))]


def test_schwa_and_r_are_one_phone() -> None:
    assert arpabet("bˈɜɹd") == ["b", "er", "d"]
    assert arpabet("pˈApəɹ") == ["p", "ey", "p", "er"]
    assert arpabet("kˈɑɹd") == ["k", "aa", "r", "d"]


def test_words_end_at_spaces_and_long_spaces_are_pauses() -> None:
    phones, words = phone_spans(".bi mi.", [0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.2])
    assert [p[0] for p in phones] == ["pau", "b", "iy", "pau", "m", "iy", "pau"]
    assert words == [(0.2, pytest.approx(0.4)), (pytest.approx(0.5), pytest.approx(0.7))]


def test_a_short_space_is_shared_between_its_neighbors() -> None:
    phones, _ = phone_spans("i i", [0.1, 0.04, 0.1])
    assert phones == [
        ("iy", 0.0, pytest.approx(0.12)),
        ("iy", pytest.approx(0.12), pytest.approx(0.24)),
    ]


def test_flite_names_fold_into_the_set() -> None:
    assert [from_flite(n) for n in ("ax", "dx", "pau", "k")] == ["ah", "d", "pau", "k"]


def test_words_are_found_in_phones_that_differ_a_little() -> None:
    spoken = [
        ("pau", 0.0, 0.1),
        ("dh", 0.1, 0.2),
        ("ah", 0.2, 0.3),
        ("k", 0.3, 0.4),
        ("aa", 0.4, 0.5),
    ]
    words = [("the", ("dh", "iy")), ("car", ("k", "aa", "r"))]
    assert align_words(spoken, words) == [("the", 0.1, 0.3), ("car", 0.3, 0.5)]


def test_a_word_without_phones_keeps_its_place() -> None:
    words = align_words([("k", 0.0, 0.1)], [("k", ("k",)), ("mute", ())])
    assert words == [("k", 0.0, 0.1), ("mute", 0.1, 0.1)]


def _part(seconds: float, start: float, end: float) -> Part:
    import numpy as np

    phones = (("pau", 0.0, start), ("iy", start, end), ("pau", end, seconds))
    samples = np.arange(round(seconds * RATE), dtype=np.float32)
    return Part("E.", samples, phones, (("E", start, end),))


def test_trimming_keeps_an_edge_of_silence_and_shifts_the_times() -> None:
    part = trim(_part(1.0, 0.5, 0.7))
    assert part.seconds == pytest.approx(0.2 + 2 * EDGE)
    assert part.samples[0] == round((0.5 - EDGE) * RATE)
    assert part.words == (("E", EDGE, pytest.approx(EDGE + 0.2)),)
    assert part.phones[0] == ("pau", 0.0, EDGE)


def test_a_short_edge_is_not_stretched() -> None:
    assert trim(_part(0.3, 0.05, 0.25)).seconds == pytest.approx(0.3)


def test_joined_sentences_stand_two_edges_apart() -> None:
    joined = join([_part(1.0, 0.5, 0.7), _part(1.0, 0.3, 0.6)])
    (_, _, end), (_, start, _) = joined.words
    assert start - end == pytest.approx(2 * EDGE, abs=1e-3)
    assert joined.text == "E. E."
    assert joined.phones[-1][2] == pytest.approx(joined.seconds, abs=1e-3)


def test_markup_counts_as_its_word() -> None:
    assert plain_words("Our [kighp](/kˈIp/).") == ["Our", "kighp"]

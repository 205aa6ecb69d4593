"""Marks are not words, and times that cannot be true are refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orality import CorpusError
from orality.corpus.times import check_end, checked, is_word, of_slice
from orality.types import Word

moments = st.floats(0, 1000)


@pytest.mark.parametrize(
    "mark",
    ["", " ", "sil", "SIL", "sp", "spn", "SPN", "nsn", "!SIL", "<eps>", "<unk>", "<s>", "[noise]",
     "[LAUGHTER]", "(coughs)", "{lg}", "+NOISE+"],
)  # fmt: skip
def test_silence_and_noise_are_no_words(mark):
    assert not is_word(mark)
    assert checked([Word(mark, 0, 1), Word("a", 1, 2)], "x") == (Word("a", 1, 2),)


@pytest.mark.parametrize("word", ["noise", "silence", "spam", "a<b", "it's", "l'eau", "你好", "é"])
def test_words_that_look_like_marks_are_words(word):
    assert is_word(word)


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        (0.8, 0.5, "before it begins"),
        (-3.0, 1.0, "begins at -3 s"),
        (math.nan, 1.0, "not numbers"),
        (0.0, math.inf, "not numbers"),
        (0.0, math.nan, "not numbers"),
    ],
)
def test_times_that_cannot_be_are_named(start, end, said):
    with pytest.raises(CorpusError, match=said):
        checked([Word("one", 0.0, 0.1), Word("two", start, end)], "u")


@pytest.mark.parametrize("factor", [1000, 16_000])
def test_milliseconds_and_samples_are_noticed_by_the_length(factor):
    words = (Word("a", 0.0, 1.0 * factor), Word("b", 1.0 * factor, 3.0 * factor))
    with pytest.raises(CorpusError, match="not milliseconds or samples"):
        check_end(words, 3.1, "u")
    check_end((Word("a", 0.0, 3.4),), 3.1, "u")  # aligners overrun a little


@given(st.lists(st.tuples(moments, moments), max_size=8), moments, st.floats(0.1, 100))
def test_a_slice_has_the_words_inside_it_from_its_start_on(pairs, start, seconds):
    words = [Word(str(n), min(pair), max(pair)) for n, pair in enumerate(pairs)]
    found = of_slice(words, start, seconds)
    inside = [w.text for w in words if w.start >= start and w.end <= start + seconds]
    assert set(inside) <= {word.text for word in found}
    for word in found:
        assert 0 <= word.start <= seconds + 0.02
        assert word.end <= seconds

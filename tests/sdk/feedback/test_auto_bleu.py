"""auto-BLEU against values computed with the reference implementation and by hand."""

from __future__ import annotations

import pytest

from orality.errors import OralityError
from orality.feedback.auto_bleu import auto_bleu
from orality.text.scripts import words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a a a", 1.0),
        ("a b a b", 0.6667),
        ("the cat sat on the mat", 0.0),
        ("only easy only and only easy only and", 0.8571),
        ("he said he said he said he went", 0.8571),
        ("one", 0.0),
    ],
)
def test_the_reference_values_are_met(text, expected):
    assert auto_bleu(text) == pytest.approx(expected, abs=5e-5)
    assert auto_bleu(text.split()) == auto_bleu(text)


def test_a_text_without_a_bigram_has_no_repetition():
    assert auto_bleu("") == 0.0
    assert auto_bleu([]) == 0.0
    assert auto_bleu(" . , ") == 0.0


def test_capitals_and_punctuation_do_not_hide_a_repetition():
    # bigrams: (the end) (end the) (the end): two of three occur elsewhere
    assert auto_bleu("The end. The END!") == pytest.approx(2 / 3)


def test_units_are_taken_as_they_are():
    # (5 7) (7 5) (5 7) (7 9): two of four
    assert auto_bleu([5, 7, 5, 7, 9]) == 0.5


def test_n_chooses_the_length_of_the_grams():
    assert auto_bleu("a b a c", n=1) == 0.5
    assert auto_bleu("a b c a b c", n=3) == 0.5
    with pytest.raises(OralityError, match="n=0"):
        auto_bleu("a b", n=0)


def test_words_keep_what_is_inside_them():
    assert words("“Don’t!” — she said: well-known, हिन्दी।") == [
        "don’t",
        "she",
        "said",
        "well-known",
        "हिन्दी",
    ]

from __future__ import annotations

import pytest

from orality.judging import parse_rating, parse_score_object

SCORES = {
    "4": 4,
    " 4\n": 4,
    "4.": 4,
    '"4"': 4,
    "'4'": 4,
    "`4`": 4,
    "**4**": 4,
    "(4)": 4,
    "[4]": 4,
    r"\boxed{4}": 4,
    r"$\boxed{4}$": 4,
    "4/5": 4,
    "4 / 5": 4,
    "4 out of 5": 4,
    "Rating: 4": 4,
    "rating: **4**": 4,
    "Score: 4/5.": 4,
    "The final score is 4": 4,
    "I would rate the score as 4.": 4,
    '{"score": 4}': 4,
}
FAILURES = [
    "", " ", "0", "6", "10", "-4", "+4", "3.5", "4.0", "4,5", "45", "4 5", "4 or 5", "3-4", "4/10",
    "4 out of 10", "five", "Vier", "\u0664", "\uff14", "\u2463", "IV", "4!", "4?", "not 4", "N/A",
    r"\boxed{4} \boxed{5}", r"\boxed{4", r"\boxed{45}", '"4', '"Rating: 5", so I say 2', "[NUMBER]",
    "Rating: 4\nRating: 5", "It says 'I would rate the score as 5', but 2", "4\n\nIt makes sense",
    "The speaker says: 5", '{"score": 6}', '{"score": 4, "score": 5}', '[["score", 5]]', "{4}",
    '{"rating": 4}', "score 4 of 1 to 5", "\u200b4",
]  # fmt: skip


@pytest.mark.parametrize("reply", SCORES)
def test_a_reply_that_is_a_score_is_read(reply):
    assert parse_rating(reply) == SCORES[reply]


@pytest.mark.parametrize("reply", FAILURES)
def test_a_reply_that_is_anything_else_is_none(reply):
    assert parse_rating(reply) is None


def test_there_are_more_than_forty_forms_and_both_kinds():
    assert len(SCORES) >= 20
    assert len(FAILURES) >= 40


@pytest.mark.parametrize("digit", [1, 2, 3, 4, 5])
def test_every_score_of_the_scale_can_be_given(digit):
    assert parse_rating(f"Rating: {digit}") == digit
    assert parse_score_object(f'{{"score": {digit}}}') == digit


@pytest.mark.parametrize(
    "reply",
    ["5", "null", "[" * 100_000, '{"score": 1e0}', '{"score": NaN}', '{"score": ' + "9" * 9999],
)
def test_an_object_of_another_shape_is_none(reply):
    assert parse_score_object(reply) is None

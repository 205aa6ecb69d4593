"""auto-BLEU's four definitions by the published codes' figures, self-BLEU and VERT by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from orality.errors import EvaluationError, OralityError
from orality.evaluation import auto_bleu, gslm_auto_bleu, self_bleu, self_bleus, vert

GOLDEN = {
    "a a a": (0.5, 0.0, 1.0),
    "a b a b": (0.8333, 0.6667, 0.6667),
    "the cat sat on the mat": (0.1667, 0.0, 0.0),
    "only easy only and only easy only and": (0.9286, 0.8571, 0.8571),
    "he said he said he said he went": (0.8661, 0.8571, 0.8571),
    "one": (0.0, 0.0, 0.0),
}
VARIANTS = ("gslm", "gslm-bigram", "align-slm")
CASES = [
    (text, variant, value)
    for text, values in GOLDEN.items()
    for variant, value in zip(VARIANTS, values, strict=True)
]


def test_the_table_has_eighteen_figures():
    assert len(CASES) == 18


@pytest.mark.parametrize(("text", "variant", "value"), CASES)
def test_auto_bleu_is_the_published_codes(text, variant, value):
    assert round(auto_bleu(text, variant=variant), 4) == value
    assert round(auto_bleu(text.split(), variant=variant), 4) == value


@pytest.mark.parametrize(
    ("text", "value"),
    list(zip(GOLDEN, (0.0, 0.8165, 0.0, 0.9258, 0.8660, 0.0), strict=True)),
)
def test_the_geometric_mean_is_the_published_codes(text, value):
    assert auto_bleu(text, variant="gslm-geometric") == pytest.approx(value, abs=5e-5)


def test_units_repeat_like_words():
    assert auto_bleu(np.array([7, 8, 7, 8]), variant="gslm-bigram") == pytest.approx(2 / 3)
    assert auto_bleu([7, 7, 7]) == 1.0
    assert auto_bleu("") == auto_bleu([], variant="gslm") == 0.0


def test_gslm_keeps_the_case_and_the_comma_that_align_slm_drops():
    assert auto_bleu("Go on, go on") == pytest.approx(2 / 3)  # go on, on go, go on
    assert auto_bleu("Go on, go on", variant="gslm-bigram") == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"text": "a", "variant": "bleu"}, "no auto-BLEU 'bleu'; choose from align-slm, gslm"),
        ({"text": "a", "n": 0}, "at least 1 token"),
        ({"text": None}, "a text is a string or a sequence"),
        ({"text": math.nan, "variant": "gslm"}, "a text is a string or a sequence"),
    ],
)
def test_what_is_no_text_is_refused(arguments, message):
    with pytest.raises(OralityError, match=message):
        auto_bleu(arguments.pop("text"), **arguments)


def test_each_text_has_its_own_self_bleu():
    # "a a b": a clipped to 1, b: 2 of 3; ab of (aa, ab). "a b c": 2 of 3; ab of (ab, bc).
    assert self_bleus(["a a b", "a b c"]) == pytest.approx([math.sqrt(1 / 3)] * 2)
    assert self_bleus(["a b", "c d", "a b"]) == [1.0, 0.0, 1.0]
    assert self_bleu(["a b", "c d", "a b"]) == pytest.approx(2 / 3)
    assert self_bleus(["alone"]) == [0.0]


def test_self_bleu_is_the_quadratic_one_of_the_published_code():
    rng = np.random.default_rng(0)
    texts = [rng.choice(list("abcde"), rng.integers(1, 12)).tolist() for _ in range(30)]

    def precision(index, n):
        grams = [tuple(texts[index][k : k + n]) for k in range(len(texts[index]) - n + 1)]
        others = [t for place, t in enumerate(texts) if place != index]
        matched = 0
        for gram in set(grams):
            most = max(
                sum(tuple(t[k : k + n]) == gram for k in range(len(t) - n + 1)) for t in others
            )
            matched += min(grams.count(gram), most)
        return matched / max(1, len(grams))

    wanted = [math.sqrt(precision(i, 1) * precision(i, 2)) for i in range(len(texts))]
    assert self_bleus(texts) == pytest.approx(wanted)


def test_vert_is_the_root_of_between_times_within():
    # both texts alike: self-BLEU 1; auto-BLEU of "a b a b": sqrt(1 x 2/3)
    assert vert(["a b a b", "a b a b"]) == pytest.approx((2 / 3) ** 0.25)
    assert vert(["a b a b", "c d c d"]) == 0.0


def test_vert_takes_the_first_thousand_texts():
    texts = ["a b a b"] * 2 + [f"x{n} y{n}" for n in range(1200)]
    first = vert(texts)
    assert first == vert(texts[:1000])
    assert first != vert(texts, limit=None)
    assert vert(texts, limit=2) == pytest.approx((2 / 3) ** 0.25)


def test_a_text_that_is_empty_counts_as_nothing_alike():
    # (1 + 1 + 0) / 3 between, 2 sqrt(2/3) / 3 within
    assert vert(["a b a b", "a b a b", ""]) == pytest.approx(2 / 3 * (2 / 3) ** 0.25)


def test_a_single_string_is_not_taken_for_many_texts():
    with pytest.raises(EvaluationError, match="put it in a list"):
        vert("a b c")
    with pytest.raises(EvaluationError, match="combine is one of arithmetic, geometric"):
        gslm_auto_bleu("a b", combine="harmonic")

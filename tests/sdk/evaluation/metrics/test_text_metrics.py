"""GSLM's repetition metrics and error rates, by hand and against the reference."""

from __future__ import annotations

import math
import random

import pytest

from orality.errors import EvaluationError
from orality.evaluation.metrics.gslm import gslm_auto_bleu, repeated_share, self_bleu, vert
from orality.evaluation.metrics.wer import character_error_rate, normalize_english, word_error_rate

GOLDEN = [
    ("a a a", 0.5, 0.0, 0.0),
    ("a b a b", 0.8333, 0.6667, 0.8165),
    ("the cat sat on the mat", 0.1667, 0.0, 0.0),
    ("only easy only and only easy only and", 0.9286, 0.8571, 0.9258),
    ("he said he said he said he went", 0.8661, 0.8571, 0.8660),
    ("one", 0.0, 0.0, 0.0),
]


@pytest.mark.parametrize(("text", "arithmetic", "bigrams", "geometric"), GOLDEN)
def test_gslm_values_are_the_published_codes(text, arithmetic, bigrams, geometric):
    tokens = text.split()
    assert gslm_auto_bleu(tokens) == pytest.approx(arithmetic, abs=5e-5)
    assert repeated_share(tokens, 2) == pytest.approx(bigrams, abs=5e-5)
    assert gslm_auto_bleu(tokens, combine="geometric") == pytest.approx(geometric, abs=5e-5)


def test_self_bleu_clips_by_the_other_texts():
    # "a a b" against "a b c": unigrams a (1 of 2), b: 2/3; bigrams ab of (aa, ab): 1/2.
    # "a b c" against "a a b": a, b of three: 2/3; ab of (ab, bc): 1/2. Both sqrt(1/3).
    assert self_bleu([["a", "a", "b"], ["a", "b", "c"]]) == pytest.approx(math.sqrt(1 / 3))


def test_self_bleu_takes_the_best_of_all_other_texts():
    # the first text's "a a" is matched by the third's, not by the second's single a
    texts = [["a", "a"], ["a", "b"], ["a", "a", "c"]]
    # 1: 1, 1; 2: a of a b 1/2, ab 0; 3: a a of a a c 2/3, aa of (aa, ac) 1/2
    assert self_bleu(texts, combine="arithmetic") == pytest.approx(
        (1 + 0.25 + (2 / 3 + 0.5) / 2) / 3
    )


def test_texts_alone_or_unlike_have_no_self_bleu():
    assert self_bleu([["a", "b"]]) == 0.0
    assert self_bleu([["a", "b"], ["c", "d"]]) == 0.0
    assert self_bleu([[], ["a"]]) == 0.0


def test_vert_is_the_geometric_mean_of_both():
    texts = [["a", "b", "a", "b"], ["a", "b", "a", "b"]]
    assert vert(texts) == pytest.approx(math.sqrt(1.0 * 0.8165), abs=1e-4)
    assert vert([]) == 0.0


def test_the_normalizer_does_what_it_documents():
    assert normalize_english(" “Don’t,” she said — it's well-known: 'tis $5! ") == (
        "don't she said it's well known tis 5"
    )


def levenshtein(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1]


def test_error_rates_agree_with_the_edit_distance_on_200_random_pairs():
    rng = random.Random(5)
    texts = [" ".join(rng.choices("abcd", k=rng.randint(1, 12))) for _ in range(400)]
    right, heard = texts[:200], texts[200:]
    words = [levenshtein(a.split(), b.split()) for a, b in zip(right, heard, strict=True)]
    lengths = [len(a.split()) for a in right]
    found = word_error_rate(right, heard)
    assert (found.errors, found.tokens, found.n) == (sum(words), sum(lengths), 200)
    assert found.micro == sum(words) / sum(lengths)
    assert found.mean == pytest.approx(
        sum(w / n for w, n in zip(words, lengths, strict=True)) / 200
    )
    characters = character_error_rate(right, heard)
    assert characters.errors == sum(levenshtein(a, b) for a, b in zip(right, heard, strict=True))


def test_micro_and_mean_differ_as_they_should():
    # 1 error in 1 word, 0 in 3: 1/4 of all words, 1/2 of the rates
    found = word_error_rate(["no", "one two three"], ["yes", "One, two: THREE!"])
    assert (found.micro, found.mean) == (0.25, 0.5)
    assert found.normalizer == "orality-english"


def test_empty_texts_are_counted():
    found = word_error_rate(["", "a b", "c"], ["x y", "", "c"])
    # two insertions and two deletions over three words; rates 1 and 0
    assert (found.errors, found.tokens, found.mean) == (4, 3, 0.5)
    assert (found.n_empty_references, found.n_empty_hypotheses) == (1, 1)


def test_error_rates_need_a_reference():
    with pytest.raises(EvaluationError, match="not empty"):
        word_error_rate(["", "?!"], ["a", "b"])
    with pytest.raises(EvaluationError, match="got 1 for 2"):
        word_error_rate(["a", "b"], ["a"])


def test_another_normalizer_is_named():
    assert word_error_rate(["A"], ["a"], normalize=str.strip).micro == 1.0
    assert word_error_rate(["A"], ["a"], normalize=str.strip).normalizer == "strip"

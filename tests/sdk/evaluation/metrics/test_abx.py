"""ABX errors of units and features, by hand."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from orality.errors import EvaluationError
from orality.evaluation import AbxToken, abx_error, read_abx_items, zerospeech_abx


def test_units_that_tell_phones_apart_make_no_error():
    tokens = [AbxToken([1, 1, 2], "a"), AbxToken([1, 2, 2], "a"), AbxToken([7, 8], "b")]
    found = abx_error(tokens)
    # a against b alone can be asked, with either a as X
    assert (found.value, found.n_pairs, found.n_triples) == (0.0, 1, 2)


def test_units_that_mix_phones_up_make_errors():
    # X = [1]: A = [2] is further than B = [1]. X = [2]: A = [1] is as far as B = [1].
    tokens = [AbxToken([1], "a"), AbxToken([2], "a"), AbxToken([1], "b")]
    assert abx_error(tokens).value == pytest.approx((1.0 + 0.5) / 2)


def test_what_is_always_the_same_is_guessed():
    assert abx_error([AbxToken([1], phone) for phone in "aabb"]).value == 0.5


def test_repeating_a_unit_is_no_distance():
    tokens = [AbxToken([1, 2], "a"), AbxToken([1, 1, 1, 2], "a"), AbxToken([1, 3], "b")]
    assert abx_error(tokens).value == 0.0


def test_features_are_compared_by_angle_not_by_length():
    east, north = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    tokens = [AbxToken(east, "a"), AbxToken(9 * east + 0.1 * north, "a"), AbxToken(north, "b")]
    assert abx_error(tokens).value == 0.0


def test_across_speakers_x_is_someone_elses():
    # Within a speaker all is well; the other speaker's a sounds like the first one's b.
    tokens = [AbxToken([1], "a", "s"), AbxToken([2], "b", "s"), AbxToken([2], "a", "t")]
    found = abx_error(tokens, speaker="across")
    assert (found.value, found.n_triples) == (1.0, 1)
    with pytest.raises(EvaluationError, match="no triple within speakers"):
        abx_error(tokens)


def test_contexts_are_kept_apart():
    tokens = [AbxToken([1], "a", context=("x", "y")), AbxToken([1], "a", context=("x", "y"))]
    with pytest.raises(EvaluationError, match="wanted two phones in one context"):
        abx_error([*tokens, AbxToken([2], "b", context=("x", "z"))])


def test_speakers_count_alike_however_much_they_say():
    # Speaker s errs in one triple of one, t in none of six.
    s = [AbxToken([1], "a", "s"), AbxToken([2], "a", "s"), AbxToken([1], "b", "s")]
    t = [AbxToken([1], "a", "t") for _ in range(3)] + [AbxToken([2], "b", "t")]
    assert abx_error([*s, *t]).value == pytest.approx((0.75 + 0.0) / 2)


@pytest.mark.parametrize(
    ("sequence", "message"),
    [
        ([], "token 0"),
        ([[np.nan, 1.0]], "no sequence of finite numbers"),
        ([[0.0, 0.0]], "without a direction"),
        ([[1.0, 0.0]], "got a mixture"),
    ],
)
def test_tokens_of_nonsense_are_refused(sequence, message):
    with pytest.raises(EvaluationError, match=message):
        abx_error([AbxToken(sequence, "a"), AbxToken([1], "a"), AbxToken([2], "b")])


def test_an_item_file_gives_frames(tmp_path):
    path = tmp_path / "triphone.item"
    path.write_text(
        "#file onset offset #phone prev-phone next-phone speaker\n6295-1 0.1 0.2 AH N D 6295\n"
    )
    (item,) = read_abx_items(path)
    assert (item.file, item.phone, item.context, item.speaker) == ("6295-1", "AH", ("N", "D"), "6295")  # fmt: skip  # noqa: E501
    # frame k of 50 a second has its middle at (k + 0.5) / 50: frames 5 to 9 lie inside
    assert item.frames(50) == slice(5, 10)
    # of 25: the middles 0.1, 0.14 and 0.18 of frames 2, 3 and 4
    assert item.frames(25) == slice(2, 5)
    path.write_text("6295-1 0.1 late AH N D 6295\n")
    with pytest.raises(EvaluationError, match="line 1: wanted 7 fields"):
        read_abx_items(path)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="fastabx may be there")
def test_fastabx_needs_a_newer_python():
    with pytest.raises(EvaluationError, match=r"needs Python 3\.12.*abx_error works everywhere"):
        zerospeech_abx("x.item", "features")

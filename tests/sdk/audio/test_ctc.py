from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orality.audio.ctc import ANY, Span, align_tokens, align_words, spelled

BLANK, A, B, SPACE = 0, 1, 2, 3


def frames(*likeliest: int, sure: float = 0.9) -> np.ndarray:
    """A frame for each token, which has the probability `sure`; the rest is shared."""
    table = np.full((len(likeliest), 4), (1 - sure) / 3, np.float32)
    table[np.arange(len(likeliest)), likeliest] = sure
    return np.log(table)


def spans(log_probs, tokens):
    found = align_tokens(log_probs, tokens, blank=BLANK)
    return None if found is None else [(span.first, span.end) for span in found]


def test_tokens_are_where_the_model_is_sure_of_them():
    said = frames(BLANK, A, A, BLANK, B, BLANK)
    assert spans(said, [A, B]) == [(1, 3), (4, 5)]
    found = align_tokens(said, [A, B], blank=BLANK)
    assert found is not None
    assert found[0] == Span(1, 3, pytest.approx(math.log(0.9)))


def test_equal_neighbors_have_a_blank_between_them():
    assert spans(frames(A, BLANK, A), [A, A]) == [(0, 1), (2, 3)]
    assert spans(frames(A, A, A), [A, A]) == [(0, 1), (2, 3)]
    assert spans(frames(A, A), [A, A]) is None


def test_a_text_that_was_not_said_is_still_placed_if_frames_suffice():
    assert spans(frames(A, A), [B, A]) == [(0, 1), (1, 2)]
    assert spans(frames(A), [B, A]) is None


def test_something_unknown_is_where_something_is_said():
    assert spans(frames(A, BLANK, B, B, BLANK, A), [A, ANY, A]) == [(0, 1), (2, 4), (5, 6)]


def test_no_tokens_no_alignment():
    assert spans(frames(A, B), []) is None


@pytest.mark.parametrize("tokens", [[BLANK], [4], [-2]])
def test_a_token_that_cannot_be_is_an_error(tokens):
    with pytest.raises(ValueError, match="without the blank 0"):
        align_tokens(frames(A, B), tokens, blank=BLANK)


def test_a_token_without_any_probability_does_not_stop_the_path():
    said = frames(A, B)
    said[:, B] = -np.inf
    assert spans(said, [A, B]) == [(0, 1), (1, 2)]


@given(st.integers(0, 2**32 - 1), st.lists(st.sampled_from([A, B]), min_size=1, max_size=3))
def test_no_path_is_likelier(seed, tokens):
    """Against all paths: every sequence of frames whose repeats and blanks collapse to the text."""
    rng = np.random.default_rng(seed)
    length = 5
    said = np.log(rng.dirichlet(np.ones(3), length)).astype(np.float32)
    best = None
    for path in itertools.product(range(3), repeat=length):
        collapsed = [token for token, _ in itertools.groupby(path) if token != BLANK]
        if collapsed == tokens:
            score = float(sum(said[frame, token] for frame, token in enumerate(path)))
            best = score if best is None else max(best, score)
    found = align_tokens(said, tokens, blank=BLANK)
    if best is None:
        assert found is None
        return
    assert found is not None
    path = [BLANK] * length
    for token, span in zip(tokens, found, strict=True):
        path[span.first : span.end] = [token] * (span.end - span.first)
    assert sum(said[frame, token] for frame, token in enumerate(path)) == pytest.approx(best, 1e-5)
    assert [token for token, _ in itertools.groupby(path) if token != BLANK] == tokens


def test_words_have_the_times_of_their_tokens():
    said = frames(BLANK, A, B, BLANK, SPACE, BLANK, B, B, BLANK)
    found = align_words(
        said,
        [("ab", [A, B]), ("b", [B])],
        blank=BLANK,
        frame_seconds=0.5,
        seconds=4.0,
        between=[SPACE],
    )
    assert found is not None
    assert [(word.text, word.start, word.end) for word in found.words] == [
        ("ab", 0.5, 1.5), ("b", 3.0, 4.0),
    ]  # fmt: skip
    assert found.text == "ab b"
    assert found.confidence == pytest.approx(0.9)


def test_a_word_the_model_cannot_spell_lies_between_its_neighbors():
    said = frames(A, SPACE, B, A, B, SPACE, A)
    found = align_words(
        said, [("a", [A]), ("7", []), ("a", [A])],
        blank=BLANK, frame_seconds=1.0, seconds=6.5, between=[SPACE],
    )  # fmt: skip
    assert found is not None
    assert [(word.start, word.end) for word in found.words] == [(0.0, 1.0), (2.0, 5.0), (6.0, 6.5)]


def test_a_recording_too_long_to_remember_is_not_aligned():
    said = np.broadcast_to(frames(A), (500_000, 4))
    assert align_tokens(said, [A, B] * 500, blank=BLANK) is None


@pytest.mark.parametrize(
    ("letters", "written"),
    [("abcdo'", "do'abc"), ("ABCDO", "DOABC"), ("abcdDO", "Dabc"), ("", "")],
)
def test_words_are_spelled_as_the_model_writes(letters, written):
    assert spelled("Do'abc!", letters) == written

"""Forced alignment: when each token of a given text was said, by a CTC model's frames.

"Connectionist Temporal Classification" (Graves et al., 2006), its best path by Viterbi.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from orality.types import Transcript, Word

__all__ = ["ANY", "Span", "align_tokens", "align_words", "spelled"]

ANY = -1
"""A token of which only is known that something was said: the likeliest one at each frame."""
_MOST_CELLS = 400_000_000  # of the path's table, a byte each: half an hour of fast speech
_BLANK_BONUS = 1e-4  # nats
_IMPOSSIBLE = np.float32(-1e30)


@dataclass(frozen=True, slots=True)
class Span:
    """A token's frames, `first` to before `end`, and the mean of its log-probabilities there."""

    first: int
    end: int
    log_prob: float


def align_tokens(
    log_probs: NDArray[np.float32], tokens: Sequence[int], *, blank: int
) -> list[Span] | None:
    """The frames of each token on the likeliest path that says `tokens`, all of them, in order.

    `log_probs`: natural logarithms, shape (frames, vocabulary). `tokens` may hold ANY, never the
    blank. None when there are too few frames (one a token, and one between equal neighbors), or
    too many to remember. Raises ValueError for a token outside the vocabulary.
    """
    frames, vocabulary = log_probs.shape
    if any(token == blank or not ANY <= token < vocabulary for token in tokens):
        raise ValueError(f"tokens must be {ANY} to {vocabulary - 1} without the blank {blank}")
    repeated = sum(a == b for a, b in pairwise(tokens))
    states = 2 * len(tokens) + 1
    if not tokens or frames < len(tokens) + repeated or frames * states > _MOST_CELLS:
        return None
    emissions = _emissions(log_probs, tokens, blank)
    path = _best_path(emissions, tokens)
    spans = []
    for index in range(len(tokens)):
        first, end = np.searchsorted(path, [2 * index + 1, 2 * index + 2])
        mean = float(emissions[first:end, index + 1].mean())
        spans.append(Span(int(first), int(end), mean))
    return spans


def _emissions(
    log_probs: NDArray[np.float32], tokens: Sequence[int], blank: int
) -> NDArray[np.float32]:
    """Of the blank, then of each token: (frames, 1 + tokens)."""
    said = np.delete(np.arange(log_probs.shape[1]), blank)
    columns = np.where(np.asarray(tokens) == ANY, 0, tokens)
    taken = log_probs[:, np.concatenate([[blank], columns])].astype(np.float32)
    unknown = np.flatnonzero(np.asarray(tokens) == ANY) + 1
    if len(unknown):
        taken[:, unknown] = log_probs[:, said].max(axis=1, keepdims=True)
    # A model may give a token no probability at all; the path must still be able to pass.
    return np.maximum(taken, _IMPOSSIBLE / len(log_probs))


def _best_path(emissions: NDArray[np.float32], tokens: Sequence[int]) -> NDArray[np.int64]:
    """The state at each frame: blanks are even, token i is 2 i + 1."""
    frames, states = len(emissions), 2 * len(tokens) + 1
    column = np.zeros(states, np.int64)
    column[1::2] = np.arange(1, len(tokens) + 1)
    # A blank may be skipped between two tokens that differ.
    skips = np.zeros(states, bool)
    skips[3::2] = [a != b for a, b in pairwise(tokens)]
    # Of equally good paths the one with more blanks, whatever the rounding: tokens stay short.
    emissions = emissions.astype(np.float64)
    emissions[:, 0] += _BLANK_BONUS
    came = np.zeros((frames, states), np.int8)  # 0: stayed, 1: from the one before, 2: skipped
    score = np.full(states, -np.inf, np.float64)
    score[:2] = emissions[0, column[:2]]
    ways = np.full((3, states), -np.inf)
    for frame in range(1, frames):
        ways[0] = score
        ways[1, 1:] = score[:-1]
        ways[2, 2:] = np.where(skips[2:], score[:-2], -np.inf)
        came[frame] = ways.argmax(axis=0)
        score = ways.max(axis=0) + emissions[frame, column]
    path = np.zeros(frames, np.int64)
    path[-1] = states - 1 if score[-1] >= score[-2] else states - 2
    for frame in range(frames - 1, 0, -1):
        path[frame - 1] = path[frame] - came[frame, path[frame]]
    return path


def align_words(
    log_probs: NDArray[np.float32],
    words: Sequence[tuple[str, Sequence[int]]],
    *,
    blank: int,
    frame_seconds: float,
    seconds: float,
    between: Sequence[int] = (),
    language: str = "en",
) -> Transcript | None:
    """Words with times and a confidence in [0, 1]; None where they cannot be aligned.

    `words`: each with its tokens; one without tokens is aligned as ANY. `between`: tokens that the
    model writes between words (a space). `frame_seconds`: how long a frame of `log_probs` is.
    `seconds`: of the recording; no word ends later. `confidence`: the geometric mean of the
    tokens' probabilities over their frames.
    """
    tokens: list[int] = []
    places: list[tuple[int, int]] = []
    for _, own in words:
        tokens += between if places else ()
        places.append((len(tokens), len(tokens) + max(1, len(own))))
        tokens += own or (ANY,)
    spans = align_tokens(log_probs, tokens, blank=blank)
    if spans is None:
        return None
    timed = []
    for (text, _), (first, end) in zip(words, places, strict=True):
        start = min(spans[first].first * frame_seconds, seconds)
        timed.append(Word(text, start, min(spans[end - 1].end * frame_seconds, seconds)))
    said = [span for first, end in places for span in spans[first:end]]
    total = sum(span.log_prob * (span.end - span.first) for span in said)
    frames = sum(span.end - span.first for span in said)
    return Transcript(
        " ".join(text for text, _ in words),
        language=language,
        words=tuple(timed),
        confidence=min(1.0, math.exp(total / frames)),
    )


def spelled(word: str, letters: Collection[str]) -> str:
    """A word as a model writes it that knows these letters: in its case, without what it lacks."""
    if not any(letter.isupper() for letter in letters):
        word = word.lower()
    elif not any(letter.islower() for letter in letters):
        word = word.upper()
    return "".join(letter for letter in word if letter in letters)

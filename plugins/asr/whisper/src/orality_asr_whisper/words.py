"""From tokens with times to words with times."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from orality import Word
from orality.audio.silence import FRAME_SECONDS, frame_power
from orality.text.scripts import has_spaces
from orality_asr_whisper.features import SAMPLE_RATE

_QUIETER = 10 ** (-35 / 10)  # of the loudest frame, in power: a pause


def group(
    ids: Sequence[int], decode: Callable[[list[int]], str], language: str
) -> list[tuple[str, int]]:
    """(word, number of its tokens); the words, put together, are the decoded text.

    Punctuation belongs to the word it follows, at the very beginning to the first one.
    """
    words: list[tuple[str, int]] = []
    spaced = has_spaces(language)  # without, a word is as short as the vocabulary makes it
    for text, tokens in _pieces(list(ids), decode):
        begins = not spaced or text[:1].isspace()
        if words and not (begins and _is_spoken(text) and _is_spoken(words[-1][0])):
            words[-1] = (words[-1][0] + text, words[-1][1] + tokens)
        else:
            words.append((text, tokens))
    return [(text.strip(), tokens) for text, tokens in words]


def _is_spoken(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _pieces(ids: list[int], decode: Callable[[list[int]], str]) -> list[tuple[str, int]]:
    """The text token by token; tokens that hold part of a character come with its last one."""
    whole = decode(ids)
    pieces: list[tuple[str, int]] = []
    done, tokens = 0, 0
    for count in range(1, len(ids) + 1):
        tokens += 1
        text = decode(ids[:count])
        if count == len(ids):
            text = whole
        if (len(text) > done and whole.startswith(text)) or count == len(ids):
            pieces.append((whole[done : len(text)], tokens))
            done, tokens = len(text), 0
    return pieces


def timed(
    words: Sequence[tuple[str, int]],
    starts: NDArray[np.float64],
    samples: NDArray[np.float32],
    *,
    offset: float = 0.0,
) -> list[Word]:
    """Words in order inside the clip, without the pauses around them.

    `starts`: seconds, one for each token and one for the end. `offset`: seconds of the recording
    before the clip. The path of the attention shares out every moment, pauses too; a word begins
    and ends where there is sound.
    """
    seconds = len(samples) / SAMPLE_RATE
    power = frame_power(samples, SAMPLE_RATE)
    loud = power > max(float(power.max(initial=0.0)) * _QUIETER, 1e-12)
    placed: list[Word] = []
    token, now = 0, 0.0
    for text, tokens in words:
        start = min(max(float(starts[token]), now), seconds)
        end = min(max(float(starts[token + tokens]), start), seconds)
        first = int(start / FRAME_SECONDS)
        heard = first + np.flatnonzero(loud[first : max(math.ceil(end / FRAME_SECONDS), first + 1)])
        if len(heard):
            start = max(start, int(heard[0]) * FRAME_SECONDS)
            end = max(start, min(end, (int(heard[-1]) + 1) * FRAME_SECONDS))
        placed.append(Word(text, offset + start, offset + end))
        token, now = token + tokens, end
    return placed

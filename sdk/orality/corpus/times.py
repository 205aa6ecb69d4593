"""What is a word and what is a mark, and whether the times of words can be true."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from orality.errors import CorpusError
from orality.types import Word

# Silence and noise, as aligners and transcribers write them; anything in brackets is a mark, too.
_MARKS = frozenset({"", "sil", "sp", "spn", "nsn", "!sil", "sil_b", "sil_e", "noise>", "+spn+"})
_BRACKETED = re.compile(r"<[^<>]*>|\[[^\[\]]*\]|\{[^{}]*\}|\([^()]*\)|\+[A-Z]+\+")
_EARLY = 0.05  # seconds by which a first word may begin before the recording
_LATE = 0.5  # seconds by which aligners overrun the end


def is_word(text: str) -> bool:
    """Whether an aligner's label is a word: not silence, noise, or anything in brackets."""
    label = text.strip()
    return label.lower() not in _MARKS and _BRACKETED.fullmatch(label) is None


def checked(words: Iterable[Word], where: str) -> tuple[Word, ...]:
    """The words without marks, in the order of their times.

    Raises CorpusError for times that are not finite, negative, or end before they begin.
    """
    found = []
    for word in words:
        if not (math.isfinite(word.start) and math.isfinite(word.end)):
            raise CorpusError(f"{where}: the word {word.text!r} has times that are not numbers")
        if word.start < -_EARLY:
            raise CorpusError(f"{where}: the word {word.text!r} begins at {word.start:g} s")
        if word.end < word.start:
            raise CorpusError(
                f"{where}: the word {word.text!r} ends at {word.end:g} s, before it begins at "
                f"{word.start:g} s; wanted start and end in seconds, not start and duration"
            )
        if is_word(word.text):
            found.append(word)
    return tuple(sorted(found, key=lambda word: word.start))


def check_end(words: tuple[Word, ...], seconds: float, where: str) -> None:
    """CorpusError when the words go on after the recording has ended."""
    last = max((word.end for word in words), default=0.0)
    if last > seconds + max(_LATE, 0.02 * seconds):
        raise CorpusError(
            f"{where} lasts {seconds:.2f} s, and its words go on until {last:g}; wanted times in "
            "seconds from the start of the recording, not milliseconds or samples"
        )


def of_slice(words: Iterable[Word], start: float, seconds: float) -> tuple[Word, ...]:
    """The words of a whole recording that are inside a slice, with times from its start on."""
    edge = 0.02
    return tuple(
        Word(word.text, max(0.0, word.start - start), min(seconds, word.end - start))
        for word in words
        if word.start >= start - edge and word.end <= start + seconds + edge
    )

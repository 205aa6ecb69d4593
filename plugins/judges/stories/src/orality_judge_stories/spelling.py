"""How much of a heard word is a word of the grammar: what a transcriber's spelling is forgiven."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

_LEAST = 0.5
_ENDING = 0.8
_ENDINGS = ("s", "es", "d", "ed", "n")
# Letters that sound alike are written alike before they are compared, in this order.
_SOUNDS = tuple(
    (re.compile(pattern), written)
    for pattern, written in (
        ("ph", "f"), ("ck", "k"), ("wh", "w"), ("^kn", "n"), ("^wr", "r"), ("gh", ""),
        ("qu", "kw"), ("x", "ks"), ("c(?=[eiy])", "s"), ("c(?!h)", "k"), ("z", "s"),
        ("(ai|ay|ei|ey|ea|ee|ie|y)", "i"), ("(oa|ow|ou|oo|ew|u)", "o"), (r"(.)\1", r"\1"),
        ("(?<=..)e$", ""), ("(?<=..)h$", ""),
    )
)  # fmt: skip


def plain_words(text: str, known: Collection[str] = ()) -> list[str]:
    """The words in lower case without punctuation; halves of a word in `known` are joined."""
    found: list[str] = []
    for word in re.findall(r"[^\W_]+", re.sub(r"['’]", "", text.lower())):
        if found and found[-1] + word in known and not (found[-1] in known and word in known):
            found[-1] += word
        else:
            found.append(word)
    return found


def sound_of(word: str) -> str:
    """The word spelled by a few rules of English sound: `kite` and `kight` become one."""
    for pattern, written in _SOUNDS:
        word = pattern.sub(written, word)
    return word


class Spelling:
    """Credits of heard words for a vocabulary's, in [0, 1], in the vocabulary's order.

    The same word has 1. A word that the vocabulary lacks has its similarity, 1 - edits / length by
    letters or by sound, where that is at least 0.5. One that the vocabulary has is another word,
    however near, unless only its ending differs (`kites` for `kite`: 0.8).
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._vocabulary = list(vocabulary)
        self._index = {word: number for number, word in enumerate(vocabulary)}
        self._letters = _Table(self._vocabulary)
        self._sounds = _Table([sound_of(word) for word in vocabulary])
        self.credits = lru_cache(maxsize=4096)(self._credits)

    def _credits(self, word: str) -> npt.NDArray[np.float32]:
        if word in self._index:
            found = np.zeros(len(self._vocabulary), np.float32)
            for near in {word + ending for ending in _ENDINGS} | {
                word[: len(word) - len(ending)] for ending in _ENDINGS if word.endswith(ending)
            }:
                if near in self._index and min(len(near), len(word)) > 2:
                    found[self._index[near]] = _ENDING
            found[self._index[word]] = 1.0
            return found
        found = np.maximum(
            self._letters.similarities(word), self._sounds.similarities(sound_of(word))
        )
        return np.where(found >= _LEAST, found, 0.0).astype(np.float32)


class _Table:
    """Words as rows of letters, compared with one word at a time."""

    def __init__(self, words: Sequence[str]) -> None:
        self._lengths = np.array([len(word) for word in words])
        width = max(self._lengths)
        self._letters = np.array([[ord(c) for c in word.ljust(width)] for word in words])

    def similarities(self, word: str) -> npt.NDArray[np.float64]:
        """1 - edits / the longer one's letters, against each row."""
        rows, width = self._letters.shape
        steps = np.arange(width + 1)
        edits = np.tile(steps, (rows, 1))
        for number, letter in enumerate(word, start=1):
            new = np.empty_like(edits)
            new[:, 0] = number
            replaced = edits[:, :-1] + (self._letters != ord(letter))
            new[:, 1:] = np.minimum(replaced, edits[:, 1:] + 1)
            # Left out letters: a running minimum of cost minus position.
            edits = np.minimum.accumulate(new - steps, axis=1) + steps
        last = edits[np.arange(rows), self._lengths]
        found: npt.NDArray[np.float64] = 1.0 - last / np.maximum(self._lengths, max(len(word), 1))
        return found

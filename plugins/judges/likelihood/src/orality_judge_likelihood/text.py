"""What of a text counts: its plain words, and how much of it merely repeats."""

from __future__ import annotations

import re
import unicodedata

from orality.text.scripts import close_up, tokens

_APOSTROPHES = "'’"


def normalize(text: str) -> str:
    """Lower case, punctuation other than the apostrophe dropped: what all transcribers agree on.

    Combining marks (vowel signs of Hindi, Thai tones) belong to their letters and stay.
    """
    composed = unicodedata.normalize("NFC", text.lower())
    kept = "".join(c if _counts(c) or c in _APOSTROPHES else " " for c in composed)
    inside = re.sub(r"(?<!\S)['’]+|['’]+(?!\S)|['’]{2,}", " ", kept)
    return close_up(" ".join(inside.split()))


def _counts(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character)[0] == "M"


def repeated_share(prompt: str, continuation: str) -> float:
    """Share of the continuation's word trigrams that the prompt or its own beginning holds already.

    A language model finds an echo and a loop very likely, so likelihood alone would reward them.
    """
    words = tokens(continuation)
    before = tokens(prompt)
    seen = set(zip(before, before[1:], before[2:], strict=False))
    repeated = 0
    for trigram in zip(words, words[1:], words[2:], strict=False):
        repeated += trigram in seen
        seen.add(trigram)
    return repeated / max(len(words) - 2, 1)

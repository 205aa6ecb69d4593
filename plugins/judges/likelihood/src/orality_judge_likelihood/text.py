"""What of a text counts: its plain words, and how much of it merely repeats."""

from __future__ import annotations

import re


def normalize(text: str) -> str:
    """Lower case, punctuation other than the apostrophe dropped: what all transcribers agree on."""
    return " ".join(re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.lower()))


def repeated_share(prompt: str, continuation: str) -> float:
    """Share of the continuation's word trigrams that the prompt or its own beginning holds already.

    A language model finds an echo and a loop very likely, so likelihood alone would reward them.
    """
    words = continuation.split()
    before = prompt.split()
    seen = set(zip(before, before[1:], before[2:], strict=False))
    repeated = 0
    for trigram in zip(words, words[1:], words[2:], strict=False):
        repeated += trigram in seen
        seen.add(trigram)
    return repeated / max(len(words) - 2, 1)

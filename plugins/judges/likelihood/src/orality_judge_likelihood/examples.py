"""Continuations of known quality, made from stories: what a calibration is fitted on."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

KINDS = ("true", "mismatched", "shuffled", "noise")
_PROMPT_WORDS, _CONTINUATION_WORDS = (7, 12), (7, 15)
_WRONG = 0.45
# What a transcriber writes for speech that holds no words.
_FRAGMENTS = ("ing", "the", "shiff", "a", "wus", "tark", "me", "lo", "bree", "an", "ste", "ove")


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt with a continuation of one of the four kinds."""

    prompt: str
    continuation: str
    kind: str


def make(stories: Sequence[str], *, seed: int = 0) -> list[Example]:
    """Four examples per story, cut as speech is: at any word, after 7 to 12 words.

    true: what follows in the story; mismatched: what follows in another story; shuffled: the true
    words in disorder; noise: 45 % of them replaced by random words or by fragments.
    """
    rng = random.Random(seed)
    pieces = []
    for story in stories:
        words = story.split()
        start = rng.randint(0, max(0, len(words) - 40))
        cut = start + rng.randint(*_PROMPT_WORDS)
        rest = words[cut : cut + rng.randint(*_CONTINUATION_WORDS)]
        if len(rest) >= _CONTINUATION_WORDS[0]:
            pieces.append((" ".join(words[start:cut]), rest))
    vocabulary = sorted({word for _, rest in pieces for word in rest})
    examples = []
    for index, (prompt, rest) in enumerate(pieces):
        other = pieces[(index + 1) % len(pieces)][1]
        shuffled = rng.sample(rest, len(rest))
        noise = [
            rng.choice(rng.choice((vocabulary, _FRAGMENTS))) if rng.random() < _WRONG else word
            for word in rest
        ]
        for kind, words in zip(KINDS, (rest, other, shuffled, noise), strict=True):
            examples.append(Example(prompt, " ".join(words), kind))
    return examples

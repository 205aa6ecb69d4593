"""Sentences joined into longer speech, with an even pause between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orality.pretraining.stories.phones import PAUSE, Span
from orality.pretraining.stories.speech import RATE

# Silence kept before the first and after the last phone: sentences then stand 0.25 s apart.
EDGE = 0.125


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of speech: 16 kHz samples, and phones and words as spans in seconds."""

    text: str
    samples: NDArray[np.float32]
    phones: tuple[Span, ...]
    words: tuple[Span, ...]

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE


def trim(part: Part) -> Part:
    """The part with at most `EDGE` seconds of silence at either end."""
    voiced = [p for p in part.phones if p[0] != PAUSE]
    if not voiced:
        return part
    start = max(voiced[0][1] - EDGE, 0.0)
    end = min(voiced[-1][2] + EDGE, part.seconds)
    samples = part.samples[round(start * RATE) : round(end * RATE)]
    inside = tuple(
        (n, max(s, start), min(e, end)) for n, s, e in part.phones if e > start and s < end
    )
    return Part(part.text, samples, shift(inside, -start), shift(part.words, -start))


def join(parts: Sequence[Part]) -> Part:
    """The parts, each trimmed, one after the other."""
    samples: list[NDArray[np.float32]] = []
    phones: list[Span] = []
    words: list[Span] = []
    now = 0
    for part in map(trim, parts):
        phones += shift(part.phones, now / RATE)
        words += shift(part.words, now / RATE)
        samples.append(part.samples)
        now += len(part.samples)
    return Part(
        " ".join(p.text for p in parts), np.concatenate(samples), tuple(phones), tuple(words)
    )


def shift(spans: Sequence[Span], seconds: float) -> tuple[Span, ...]:
    """The spans, that much later."""
    return tuple((n, round(s + seconds, 4), round(e + seconds, 4)) for n, s, e in spans)

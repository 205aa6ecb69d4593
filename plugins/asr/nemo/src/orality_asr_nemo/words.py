"""Words and their times out of a NeMo hypothesis."""

from __future__ import annotations

from typing import Any

from orality import Word


def words_of(hypothesis: Any, *, seconds: float, shift: float, start: float) -> tuple[Word, ...]:
    """Words in order, inside the `seconds` of their clip, which began at `start` in the recording.

    `shift`: what NeMo's times have to be moved by where it padded the clip. A word that it could
    not place (time -1) gets the moment between its neighbors.
    """
    stamps = getattr(hypothesis, "timestamp", None)
    found = stamps.get("word") or [] if isinstance(stamps, dict) else []
    words: list[Word] = []
    now = 0.0
    for item in found:
        text = str(item["word"]).strip()
        if not text:
            continue
        placed = float(item["start"]) >= 0 and float(item["end"]) >= 0
        first = min(max(float(item["start"]) + shift, now), seconds) if placed else now
        now = min(max(float(item["end"]) + shift, first), seconds) if placed else now
        words.append(Word(text, start + first, start + now))
    return tuple(words)

"""Simple spoken stories by construction: their text, their speech, and pairs to test with."""

from __future__ import annotations

from orality.pretraining.stories.grammar import Pool, lines

__all__ = ["Pool", "lines"]

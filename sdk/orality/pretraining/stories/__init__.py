"""Simple spoken stories made by construction: the text, its speech, and pairs to test models with."""

from __future__ import annotations

from orality.pretraining.stories.grammar import Pool, lines

__all__ = ["Pool", "lines"]

"""Simple spoken stories by construction: their text, their speech, and pairs to test with."""

from __future__ import annotations

from orality.pretraining.stories.grammar import DAYS, FRAMES, SLOTS, Pool, lines, way_to
from orality.pretraining.stories.phrases import Topic, topics, words

__all__ = ["DAYS", "FRAMES", "SLOTS", "Pool", "Topic", "lines", "topics", "way_to", "words"]

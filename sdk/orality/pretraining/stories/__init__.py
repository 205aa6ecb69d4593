"""Simple spoken stories by construction: their text, their speech, and pairs to test with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orality.pretraining.stories.grammar import DAYS, FRAMES, SLOTS, Pool, lines, way_to
from orality.pretraining.stories.phrases import Topic, topics, words

if TYPE_CHECKING:
    from orality.pretraining.stories.prompts import build_prompts

__all__ = [
    "DAYS",
    "FRAMES",
    "SLOTS",
    "Pool",
    "Topic",
    "build_prompts",
    "lines",
    "topics",
    "way_to",
    "words",
]


def __getattr__(name: str) -> Any:
    # The grammar alone is used without what writes sound.
    if name == "build_prompts":
        from orality.pretraining.stories.prompts import build_prompts

        return build_prompts
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

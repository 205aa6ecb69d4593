"""Pairs that are alternatives of each other: ties of one prompt, of which an epoch uses one.

Align-SLM, section 4.1: where several continuations have the same highest or lowest score, one of
them is drawn while training. A selection stores every tied combination as a pair of its own, with
the same text under `DRAW` in its metadata.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from orality.types import PreferencePair

DRAW = "draw"


def draw_of(pair: PreferencePair) -> tuple[str, str, str]:
    """What alternatives have in common and nothing else has; unique for a pair that has none."""
    draw = pair.metadata.get(DRAW)
    if draw is None:
        return pair.prompt_id, "pair", pair.id
    return pair.prompt_id, DRAW, str(draw)


def draw_shares(pairs: Sequence[PreferencePair]) -> list[float]:
    """The weight of each pair when alternatives share one: 1 / (how many there are), in (0, 1]."""
    counts = Counter(map(draw_of, pairs))
    return [1 / counts[draw_of(pair)] for pair in pairs]

"""The nearest grammatical text: a shortest path through the lattice, one row of costs per word.

A word that does not fit costs 1 less its credit, a superfluous word 1, one or two missing words 1
each, a sentence left unfinished or begun in its middle 2. A text may stop anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orality.pretraining.stories import SLOTS
from orality_judge_stories.lattice import NEVER, Floats, Lattice

BROKEN = 2.0
START = len(SLOTS)
_SLOTS = len(SLOTS)
# Too small to outweigh a letter: they decide between readings that are equally near.
_ORDER, _TOPIC = 0.02, 0.005
_MISSING = np.array([[0.0], [1.0], [2.0]], np.float32)
_TURNS = np.full((_SLOTS + 1, _SLOTS), _ORDER, np.float32)
_TURNS[np.arange(_SLOTS + 1), [1, 2, 3, 4, 0, 0]] = 0.0


@dataclass(frozen=True, slots=True)
class Row:
    """Costs after so many words.

    `nodes`: of the readings that have come to each node; `closed` (topics, slots + 1): of those
    whose last sentence, of that slot, is over, the last column of those in which none began.
    `words`: what the last word costs at each node, without what topics are preferred.
    """

    nodes: Floats
    closed: Floats
    words: Floats | None = None

    def within(self, lattice: Lattice) -> Floats:
        """The nodes' costs where only a word counts as having come to a node, not an entry."""
        found = self.nodes.copy()
        found[lattice.entries] = NEVER
        return found


def first(lattice: Lattice) -> Row:
    """Before any word."""
    nothing = np.full(lattice.size, NEVER, np.float32)
    return _joined(lattice, nothing, 0, None, mixed=False)


def run(
    lattice: Lattice, row: Row, costs: Sequence[Floats], done: int, preference: Floats | None = None
) -> list[Row]:
    """The rows after each of some more words, `done` words lying before.

    With a preference, which is added to each word's costs, sentences and their beginnings may go on
    in any topic; without, all is of one topic.
    """
    rows = []
    for number, words in enumerate(costs, start=done + 1):
        row = _step(lattice, row, words, number, preference)
        rows.append(row)
    return rows


def reopened(lattice: Lattice, row: Row, number: int) -> Row:
    """The same row, after which the text may go on in any topic."""
    return _joined(lattice, row.within(lattice), number, row.words, mixed=True)


def preferring(lattice: Lattice, topics: frozenset[int]) -> Floats:
    """(nodes,): what is added to the costs of words to read them as some topics' where possible."""
    each = [0.0 if topic in topics else _TOPIC for topic in range(lattice.topics)]
    return np.repeat(np.array(each, np.float32), lattice.topic_sizes)


def topic_costs(lattice: Lattice, row: Row) -> Floats:
    """(topics,): the cost of the nearest text of one topic."""
    least = np.minimum.reduceat(row.within(lattice), lattice.segment_starts)
    found: Floats = np.minimum(least.reshape(-1, _SLOTS).min(axis=1), row.closed.min(axis=1))
    return found


def turns(slot: int) -> Floats:
    """(slots + 1,): what it costs that a sentence of this slot follows those of each."""
    found: Floats = _TURNS[:, slot]
    return found


def endings(lattice: Lattice, nodes: Floats) -> Floats:
    """(chains,): the cost of having each chain behind, of which the last two words may miss."""
    found: Floats = (nodes[lattice.last_three] + _MISSING).min(axis=0)
    return found


def closings(lattice: Lattice, within: Floats, ended: Floats) -> Floats:
    """(topics, slots): the cost of having a sentence behind, finished or not."""
    whole = np.minimum.reduceat(ended[lattice.ends], lattice.end_starts)
    left = np.minimum.reduceat(within, lattice.segment_starts) + BROKEN
    found: Floats = np.minimum(whole, left).reshape(-1, _SLOTS)
    return found


def _step(lattice: Lattice, row: Row, words: Floats, number: int, preference: Floats | None) -> Row:
    found = np.full(lattice.size, NEVER, np.float32)
    near, before = found[3:], row.nodes
    one_more = before + 1.0
    np.add(one_more[:-3], 1.0, out=near)
    np.minimum(near, one_more[1:-2], out=near)
    np.minimum(near, before[2:-1], out=near)
    begun: Any = row.closed.min(axis=1) + BROKEN
    begun = np.repeat(begun, lattice.topic_sizes)[3:] if preference is None else begun[0]
    np.minimum(near, begun, out=near)
    near += words[3:]
    if preference is not None:
        near += preference[3:]
    np.minimum(near, one_more[3:], out=near)
    found[lattice.entries] = NEVER
    return _joined(lattice, found, number, words, mixed=preference is not None)


def _joined(
    lattice: Lattice, within: Floats, number: int, words: Floats | None, *, mixed: bool
) -> Row:
    """The row of these costs, to which those of the entries are written."""
    ended = endings(lattice, within)
    between = np.minimum.reduceat(ended[lattice.heads], lattice.head_starts)
    closed = np.full((lattice.topics, _SLOTS + 1), float(number), np.float32)
    closed[:, :START] = closings(lattice, within, ended)
    if mixed:
        closed[:] = closed.min(axis=0)
        between = np.tile(between.reshape(-1, _SLOTS).min(axis=0), lattice.topics)
    opened = (closed[:, :, None] + _TURNS).min(axis=1).reshape(-1)
    within[lattice.entries] = np.concatenate([between, opened])[lattice.entered_from]
    return Row(within, closed, words)

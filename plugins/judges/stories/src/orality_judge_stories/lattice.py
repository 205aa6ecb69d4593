"""All chains as one row of nodes, on which a word costs a few operations on arrays.

Before each chain lie two nodes that nothing reaches and its entry, so that the nodes one, two and
three places back are always where a word can come from.
"""

from __future__ import annotations

from bisect import bisect
from functools import cache, lru_cache
from itertools import chain as flat

import numpy as np
import numpy.typing as npt

from orality.pretraining.stories import SLOTS
from orality_judge_stories.patterns import Chain, Place, chains
from orality_judge_stories.spelling import Spelling

NEVER = 1e6
_GAP = 3
# A word that begins this many or fewer topics' phrases says which topic it is.
_TELLING = 3
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class Lattice:
    """The nodes with their chains, places and words.

    A segment is the nodes of one topic and slot, number `topic * len(SLOTS) + slot`.
    """

    def __init__(self) -> None:
        self.chains: list[Chain] = list(chains())
        lengths = np.array([len(chain.places) for chain in self.chains])
        starts = np.concatenate([[0], np.cumsum(lengths + _GAP)])
        self.size = int(starts[-1])
        self.entries: Ints = starts[:-1] + _GAP - 1
        self.last_three: Ints = self.entries + lengths - np.arange(3)[:, None]
        self._chain_of: list[int] = np.repeat(np.arange(len(self.chains)), lengths + _GAP).tolist()
        self._entry_of: list[int] = self.entries.tolist()
        self.topics = max(chain.topic for chain in self.chains) + 1
        segments = np.array([c.topic * len(SLOTS) + c.slot for c in self.chains])
        kinds = np.array([c.kind for c in self.chains])
        self.segment_of = segments
        self.segment_starts: Ints = starts[np.searchsorted(segments, np.arange(segments[-1] + 1))]
        self.segment_bounds = np.append(self.segment_starts, self.size)
        self.topic_sizes = np.diff(np.append(self.segment_starts[:: len(SLOTS)], self.size))
        self.heads = np.flatnonzero(kinds == "head")
        self.ends = np.flatnonzero(kinds != "head")
        every = np.arange(segments[-1] + 1)
        # Among all segments' costs after a head, and then those between sentences.
        self.entered_from = segments + np.where(kinds == "tail", 0, len(every))
        self.head_starts = np.searchsorted(segments[self.heads], every)
        self.end_starts = np.searchsorted(segments[self.ends], every)
        self._number_words()

    def _number_words(self) -> None:
        """Sets of words are numbered; set 0 is empty, for the nodes that take no word."""
        sets: dict[tuple[str, ...], int] = {(): 0}
        set_of = np.zeros(self.size, np.int64)
        for chain, entry in zip(self.chains, self.entries, strict=True):
            for number, place in enumerate(chain.places, start=1):
                set_of[entry + number] = sets.setdefault(place.words, len(sets))
        self.vocabulary = sorted(set(flat.from_iterable(sets)))
        self._index = index = {word: number for number, word in enumerate(self.vocabulary)}
        members = list(sets)[1:]
        self._set_of = set_of
        self._members = np.array([index[w] for m in members for w in m])
        self._member_starts = np.cumsum([0, *(len(m) for m in members[:-1])])
        self._spelling = Spelling(self.vocabulary)
        self._costs = lru_cache(maxsize=512)(self._costs_of)
        self.known = frozenset(self.vocabulary)
        using: dict[str, set[int]] = {}
        for chain in self.chains:
            for place in chain.places if chain.kind != "head" else ():
                for word in place.words:
                    using.setdefault(word, set()).add(chain.topic)
        self._telling = {word for word, topics in using.items() if len(topics) <= _TELLING}

    def place(self, node: int) -> Place:
        """What stands at a node."""
        number = self._chain_of[node]
        return self.chains[number].places[node - self._entry_of[number] - 1]

    def chain(self, node: int) -> Chain:
        """The chain that a node belongs to."""
        return self.chains[self._chain_of[node]]

    def is_entry(self, node: int) -> bool:
        """Whether a node lies before a chain's first word."""
        return self._entry_of[self._chain_of[node]] == node

    def costs(self, word: str, *, cut: bool = False) -> Floats:
        """(nodes,): 1 - the word's credit at each node; `cut`: it may be a word's beginning."""
        if not cut or len(word) < 2:
            return self._costs(word)
        found = self._spelling.credits(word).copy()
        stop = bisect(self.vocabulary, word + "~")
        found[bisect(self.vocabulary, word) : stop] = 1.0
        return self._spread(found)

    def _costs_of(self, word: str) -> Floats:
        return self._spread(self._spelling.credits(word))

    def _spread(self, found: Floats) -> Floats:
        """From credits of the vocabulary to costs at nodes."""
        best = np.maximum.reduceat(found[self._members], self._member_starts)
        return np.concatenate([[np.float32(NEVER)], 1.0 - best])[self._set_of]

    def nearest(self, word: str, node: int) -> str:
        """Which of a node's words is nearest to the one heard."""
        found = self._spelling.credits(word)
        return max(self.place(node).words, key=lambda w: found[self._index[w]])

    def tells_topic(self, node: int) -> bool:
        """Whether few topics have this node's words."""
        return self.chain(node).kind != "head" and all(
            word in self._telling for word in self.place(node).words
        )


@cache
def lattice() -> Lattice:
    """The one lattice, made when first asked for."""
    return Lattice()

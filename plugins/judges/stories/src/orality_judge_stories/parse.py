"""A prompt and its continuation read together: which sentence each word lies in, and how well."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from orality.pretraining.stories import SLOTS
from orality_judge_stories import viterbi
from orality_judge_stories.lattice import Floats, Ints, lattice
from orality_judge_stories.spelling import plain_words
from orality_judge_stories.viterbi import BROKEN, START, Row

# Readings of a prompt as different topics are equally good within so many words.
_SAME = 0.5
_PROMPTS = 32


@dataclass(frozen=True, slots=True)
class Found:
    """A word that lies in a sentence: its place in the text, its node and its credit in (0, 1]."""

    index: int
    word: str
    node: int
    credit: float


@dataclass(slots=True)
class Sentence:
    """A sentence of the nearest text: its topic and slot by number, its words in order, and the
    chain that says what it is about (None where the text stops or breaks off before that)."""

    topic: int
    slot: int
    words: list[Found] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Parse:
    """The nearest text: sentences in order, the first `prompt_words` words being the prompt's.

    `prompt_topics`: those the prompt may be about; all where it says nothing. `missing`: words that
    the nearest text has, and the continuation lacks.
    """

    sentences: list[Sentence]
    prompt_words: int
    words: int
    prompt_topics: frozenset[int]
    missing: float

    @property
    def grammatical(self) -> float:
        """The share in [0, 1] of the continuation's words that lie in the nearest text, where each
        that it lacks takes one away."""
        mine = sum(
            found.credit
            for sentence in self.sentences
            for found in sentence.words
            if found.index >= self.prompt_words
        )
        count = self.words - self.prompt_words
        return max(0.0, mine - self.missing) / count if count else 0.0


def parse(prompt: str, continuation: str) -> Parse:
    """Read a continuation after its prompt; either may be empty."""
    net = lattice()
    before = tuple(plain_words(prompt, net.known))
    after = plain_words(continuation, net.known)
    rows, topics = _prompt(before)
    rows = list(rows)
    rows[-1] = viterbi.reopened(net, rows[-1], len(before))
    preference = viterbi.preferring(net, topics)
    costs = [
        net.costs(word, cut=number == len(after)) for number, word in enumerate(after, start=1)
    ]
    rows += viterbi.run(net, rows[-1], costs, len(before), preference)
    path = _Path(rows, [*before, *after], len(before), preference)
    return Parse(path.sentences, len(before), len(before) + len(after), topics, path.missing)


@lru_cache(maxsize=_PROMPTS)
def _prompt(words: tuple[str, ...]) -> tuple[list[Row], frozenset[int]]:
    """The rows of a prompt, in which all sentences are of one topic, and its likely topics."""
    net = lattice()
    start = viterbi.first(net)
    rows = [start, *viterbi.run(net, start, [net.costs(w) for w in words], 0)]
    costs = viterbi.topic_costs(net, rows[-1])
    near = np.flatnonzero(costs <= costs.min() + _SAME)
    return rows, frozenset(int(topic) for topic in near)


class _Path:
    """The cheapest path, followed back from the last word by asking each row where it came from."""

    def __init__(self, rows: list[Row], words: list[str], prompt: int, preference: Floats) -> None:
        self._net, self._rows, self._words, self._prompt = lattice(), rows, words, prompt
        self._preference = preference
        self.missing = 0.0
        self.sentences: list[Sentence] = []
        number = len(words)
        last = rows[-1].within(self._net)
        node = int(last.argmin())
        if last[node] <= rows[-1].closed.min():
            self._follow(number, node)
        self.sentences.reverse()
        for sentence in self.sentences:
            sentence.words.reverse()

    def _follow(self, number: int, start: int) -> None:
        node: int | None = start
        self._begin(start)
        while node is not None:
            if self._net.is_entry(node):
                node = self._entered(number, node)
            else:
                number, node = self._word(number, node)

    def _begin(self, node: int) -> None:
        chain = self._net.chain(node)
        self.sentences.append(Sentence(chain.topic, chain.slot))

    def _word(self, number: int, node: int) -> tuple[int, int | None]:
        """One word back: to the node before, over missing ones, in place, or to a new sentence."""
        row, before = self._rows[number], self._rows[number - 1]
        assert row.words is not None
        index = number - 1
        word = float(row.words[node])
        cost = word + (self._preference[node] if index >= self._prompt else 0.0)
        begun = float(before.closed[self._net.chain(node).topic].min())
        third, second, first, same = before.nodes[node - 3 : node + 1].tolist()
        ways = [first + cost, second + cost + 1.0, third + cost + 2.0, same + 1.0]
        ways.append(begun + BROKEN + cost)
        way = ways.index(min(ways))
        if way == 3:
            return number - 1, node
        if word < 1.0:
            self.sentences[-1].words.append(Found(index, self._words[index], node, 1.0 - word))
        if way == 4:
            self._miss(number - 1, BROKEN)
            return number - 1, self._closed(number - 1, node, None)
        self._miss(number - 1, way)
        return number - 1, node - way - 1

    def _entered(self, number: int, node: int) -> int | None:
        """From a chain's entry to the end of the chain that lies before it."""
        chain = self._net.chain(node)
        if chain.kind == "tail":
            topic = chain.topic
            if number >= self._prompt:
                ended = viterbi.endings(self._net, self._rows[number].within(self._net))
                between = np.minimum.reduceat(ended[self._net.heads], self._net.head_starts)
                topic = int(between.reshape(-1, len(SLOTS))[:, chain.slot].argmin())
            return self._ended(number, topic * len(SLOTS) + chain.slot, self._net.heads)
        return self._closed(number, node, chain.slot)

    def _closed(self, number: int, node: int, slot: int | None) -> int | None:
        """The end of the sentence before; None: there is none."""
        row, topic = self._rows[number], self._net.chain(node).topic
        turns = viterbi.turns(slot) if slot is not None else 0.0
        previous = int((row.closed[topic] + turns).argmin())
        if previous == START:
            return None
        within = row.within(self._net)
        ended = viterbi.endings(self._net, within)
        column = viterbi.closings(self._net, within, ended)[:, previous]
        other = int(column.argmin()) if number >= self._prompt else topic
        segment = other * len(SLOTS) + previous
        last = self._ended(number, segment, self._net.ends, broken=True)
        self._begin(last)
        return last

    def _ended(self, number: int, segment: int, chains: Ints, *, broken: bool = False) -> int:
        """The node from which a segment's chains of this kind were left most cheaply."""
        net, nodes = self._net, self._rows[number].within(self._net)
        mine = chains[net.segment_of[chains] == segment]
        ways = nodes[net.last_three[:, mine]] + np.arange(3.0)[:, None]
        missing, which = np.unravel_index(int(ways.argmin()), ways.shape)
        if broken:
            start, stop = net.segment_bounds[segment : segment + 2]
            least = int(start + nodes[start:stop].argmin())
            if nodes[least] + BROKEN < ways.min():
                self._miss(number, BROKEN)
                return least
        self._miss(number, float(missing))
        return int(net.last_three[missing, mine[which]])

    def _miss(self, number: int, words: float) -> None:
        """Note words that miss after the first `number`, if the continuation should have them."""
        if number >= self._prompt:
            self.missing += words

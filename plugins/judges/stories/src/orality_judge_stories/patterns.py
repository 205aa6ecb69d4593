"""The grammar's sentences as chains of words: what may stand in each place, in which part."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal

from orality.pretraining.stories import DAYS, FRAMES, SLOTS, Topic, topics, way_to, words

Kind = Literal["head", "tail", "whole"]
_PRONOUNS = {
    "he": ("he", "she"), "He": ("he", "she"), "his": ("his", "her"), "him": ("him", "her"),
    "boy": ("boy", "girl"),
}  # fmt: skip
HEAD, TAIL = "{day}", "{x}"


@dataclass(frozen=True, slots=True)
class Place:
    """One place of a chain: the words that may stand there and the part they play.

    `parts`: "H" hero, "F" friend (both where either reading is grammatical), "g" a word that says
    the hero's gender, "o" the object's last word.
    """

    words: tuple[str, ...]
    parts: str = ""


@dataclass(frozen=True, slots=True)
class Chain:
    """A sentence ("whole"), or its beginning ("head") or rest ("tail"), of one topic and slot.

    Every head goes with every tail of its topic and slot. `problem`: the one a problem's tail
    names or a fix's solves.
    """

    kind: Kind
    topic: int
    slot: int
    places: tuple[Place, ...]
    problem: int | None = None


def chains() -> Iterator[Chain]:
    """All chains, by topic, slot, and kind; a beginning that two frames share comes once."""
    for number, topic in enumerate(topics()):
        for slot, name in enumerate(SLOTS):
            found = dict.fromkeys(_chains(number, topic, slot, name))
            merged: dict[tuple[object, ...], Chain] = {}
            for chain in found:
                key = (chain.kind, chain.problem, *(place.words for place in chain.places))
                merged[key] = _both(merged[key], chain) if key in merged else chain
            order = {"head": 0, "tail": 1, "whole": 2}
            yield from sorted(merged.values(), key=lambda chain: order[chain.kind])


def objects(topic: Topic) -> dict[str, str]:
    """Each object by the last word of its singular and plural."""
    return {form.split()[-1]: single for single, many in topic.objects for form in (single, many)}


def _chains(number: int, topic: Topic, slot: int, name: str) -> Iterator[Chain]:
    if name == "open":
        for day in DAYS:
            yield Chain("head", number, slot, tuple(Place((w,)) for w in _tokens(day)))
        for frame, place in product(FRAMES[name], topic.places):
            kind: Kind = "tail" if frame.startswith(HEAD) else "whole"
            text = frame.replace(HEAD, "").replace("{at}", place).replace("{to}", way_to(place))
            for places in _worded(text, topic):
                yield Chain(kind, number, slot, places)
        return
    for frame in FRAMES[name]:
        for places in _worded(frame.replace(TAIL, ""), topic):
            yield Chain("head", number, slot, places)
    for problem, text in _phrases(topic, name):
        for places in _worded(text, topic):
            yield Chain("tail", number, slot, places, problem)


def _phrases(topic: Topic, name: str) -> Iterator[tuple[int | None, str]]:
    if name == "problem":
        yield from enumerate(topic.problems)
    elif name == "fix":
        yield from ((i, text) for i, deeds in enumerate(topic.fixes) for text in deeds)
    else:
        yield from ((None, text) for text in (topic.wants if name == "want" else topic.ends))


def _worded(text: str, topic: Topic) -> Iterator[tuple[Place, ...]]:
    """The places of a text, once for each number of words that the topic's objects have."""
    tokens = _tokens(text)
    lengths = {len(single.split()) for single, _ in topic.objects}
    for length in sorted(lengths) if {"{o}", "{os}"} & set(tokens) else [1]:
        yield tuple(place for token in tokens for place in _places(token, topic, length))


def _places(token: str, topic: Topic, length: int) -> Iterator[Place]:
    name = token.strip("{}")
    if token in ("{o}", "{os}"):
        forms = [pair[token == "{os}"].split() for pair in topic.objects]
        columns = list(zip(*(form for form in forms if len(form) == length), strict=True))
        for number, column in enumerate(columns, start=1):
            yield Place(column, "o" if number == length else "")
    elif token in ("{H}", "{F}"):
        yield Place(tuple(name.lower() for name in words().names), name)
    elif token == "{a}":
        yield Place(topic.adjectives)
    elif token == "a":
        yield Place(("a", "an"))
    elif token.startswith("{"):
        yield Place(_PRONOUNS[name], "g")
    else:
        yield Place((token,))


def _tokens(text: str) -> list[str]:
    return [t if t[0] == "{" else t.lower() for t in re.findall(r"\{\w+\}|\w+", text)]


def _both(one: Chain, other: Chain) -> Chain:
    """Chains of the same words, in which a name may be the hero's or the friend's."""
    places = tuple(
        Place(a.words, "".join(sorted({*a.parts, *b.parts})))
        for a, b in zip(one.places, other.places, strict=True)
    )
    return Chain(one.kind, one.topic, one.slot, places, one.problem)

"""Minimal pairs made with the grammar: grammatical sentences and story endings, right and wrong.

Both members of a pair are of the same split, so neither was ever heard in training; they differ in
nothing but what the pair tests: the same names, and about the same length.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from orality.errors import CorpusError
from orality.pretraining.stories.grammar import Line, Pool, Split, split_of
from orality.pretraining.stories.phrases import words

# So many stories in a row without a new pair mean that the pool is used up.
_MISSES = 300

Kind = Literal["word", "grammar", "topic", "story"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A right and a wrong text, after a shared context; `phenomenon` says what differs."""

    kind: Kind
    positive: str
    negative: str
    phenomenon: str
    context: tuple[str, ...] = ()
    group: str = ""  # items that are not independent share it: the word, the topic


def _nouns(rng: random.Random) -> tuple[str, str]:
    return rng.choice(words().beings + words().things)


def _be(rng: random.Random) -> tuple[str, str]:
    one, many = rng.choice(words().beings)
    singular, plural = rng.choice((("is", "are"), ("was", "were")))
    rest = f"{rng.choice(words().moods)} {rng.choice(words().places)}."
    if rng.random() < 0.5:
        return f"The {one} {singular} {rest}", f"The {one} {plural} {rest}"
    return f"The {many} {plural} {rest}", f"The {many} {singular} {rest}"


def _verb(rng: random.Random) -> tuple[str, str]:
    one, many = rng.choice(words().beings)
    he, they, *_ = rng.choice(words().verbs)
    rest = f"{rng.choice(words().places)}."
    mood = rng.choice(words().moods)
    if rng.random() < 0.5:
        return f"The {mood} {one} {he} {rest}", f"The {mood} {one} {they} {rest}"
    return f"The {mood} {many} {they} {rest}", f"The {mood} {many} {he} {rest}"


def _determiner(rng: random.Random) -> tuple[str, str]:
    one, many = _nouns(rng)
    adjective, name = rng.choice(words().adjectives), rng.choice(words().names)
    near, far = rng.choice((("this", "these"), ("that", "those")))
    if rng.random() < 0.5:
        return f"{name} likes {near} {adjective} {one}.", f"{name} likes {far} {adjective} {one}."
    return f"{name} likes {far} {adjective} {many}.", f"{name} likes {near} {adjective} {many}."


def _adjective_order(rng: random.Random) -> tuple[str, str]:
    noun, adjective, place = (
        _nouns(rng)[0],
        rng.choice(words().adjectives),
        rng.choice(words().places),
    )
    return f"The {adjective} {noun} is {place}.", f"The {noun} {adjective} is {place}."


def _object_order(rng: random.Random) -> tuple[str, str]:
    name, noun, place = rng.choice(words().names), _nouns(rng)[0], rng.choice(words().places)
    past = rng.choice(words().transitive)[3]
    return f"{name} {past} the {noun} {place}.", f"{name} the {noun} {past} {place}."


def _have(rng: random.Random) -> tuple[str, str]:
    adjective, noun = rng.choice(words().adjectives), _nouns(rng)[0]
    first, second = rng.sample(words().names, 2)
    article = "an" if adjective[0] in "aeiou" else "a"
    rest = f"{article} {adjective} {noun}."
    if rng.random() < 0.5:
        return f"{first} has {rest}", f"{first} have {rest}"
    return f"{first} and {second} have {rest}", f"{first} and {second} has {rest}"


def _number(rng: random.Random) -> tuple[str, str]:
    one, many = _nouns(rng)
    past, place, name = (
        rng.choice(words().transitive)[3],
        rng.choice(words().places),
        rng.choice(words().names),
    )
    if rng.random() < 0.5:
        count = rng.choice(("two", "three", "many"))
        return f"{name} {past} {count} {many} {place}.", f"{name} {past} {count} {one} {place}."
    return f"{name} {past} one {one} {place}.", f"{name} {past} one {many} {place}."


def _case(rng: random.Random) -> tuple[str, str]:
    noun, place = rng.choice(words().beings)[0], rng.choice(words().places)
    past = rng.choice(words().transitive)[3]
    subject, object_ = rng.choice((("he", "him"), ("she", "her"), ("they", "them"), ("we", "us")))
    if rng.random() < 0.5:
        return (
            f"{subject.capitalize()} {past} the {noun} {place}.",
            f"{object_.capitalize()} {past} the {noun} {place}.",
        )
    return f"The {noun} {past} {object_} {place}.", f"The {noun} {past} {subject} {place}."


def _reflexive(rng: random.Random) -> tuple[str, str]:
    girl = rng.random() < 0.5
    name = rng.choice(words().she if girl else words().he)
    own, other = ("herself", "himself") if girl else ("himself", "herself")
    frame = f"{name} {rng.choice(('saw', 'liked', 'washed', 'painted', 'drew', 'found'))}"
    place = rng.choice(words().places)
    return f"{frame} {own} {place}.", f"{frame} {other} {place}."


def _negation(rng: random.Random) -> tuple[str, str]:
    name, noun, place = rng.choice(words().names), _nouns(rng)[0], rng.choice(words().places)
    base, past = rng.choice(words().transitive)[2:]
    return (
        f"{name} did not {base} the {noun} {place}.",
        f"{name} did not {past} the {noun} {place}.",
    )


def _infinitive(rng: random.Random) -> tuple[str, str]:
    name, place = rng.choice(words().names), rng.choice(words().places)
    base, past = rng.choice([v[2:] for v in words().verbs if v[2] != v[3]])
    wanted = rng.choice(("wanted", "hoped", "asked", "liked"))
    return f"{name} {wanted} to {base} {place}.", f"{name} {wanted} to {past} {place}."


def _preposition(rng: random.Random) -> tuple[str, str]:
    noun, (past, place) = (
        rng.choice(words().beings)[0],
        (
            rng.choice(words().verbs)[3],
            rng.choice([p for p in words().places if " the " in p]),
        ),
    )
    preposition, ground = place.split(" ", 1)
    return (
        f"The {noun} {past} {preposition} {ground}.",
        f"The {noun} {past} {ground} {preposition}.",
    )


PHENOMENA: Mapping[str, Callable[[random.Random], tuple[str, str]]] = {
    "be_agreement": _be,
    "verb_agreement": _verb,
    "determiner_agreement": _determiner,
    "adjective_order": _adjective_order,
    "object_order": _object_order,
    "have_agreement": _have,
    "number": _number,
    "pronoun_case": _case,
    "reflexive_gender": _reflexive,
    "negation": _negation,
    "infinitive": _infinitive,
    "preposition_order": _preposition,
}


def grammatical_pair(rng: random.Random, phenomenon: str | None = None) -> Pair:
    """A grammatical sentence and its ungrammatical twin, of the phenomenon or a random one."""
    name = phenomenon or rng.choice(tuple(PHENOMENA))
    good, bad = PHENOMENA[name](rng)
    return Pair("grammar", good, bad, name, group=name)


def grammatical_pairs(rng: random.Random, count: int, split: Split) -> list[Pair]:
    """`count` different pairs, evenly over the phenomena; the good sentences are of the split.

    The bad sentence is in no training text whatever its split, because no template makes one.
    """
    found: dict[str, Pair] = {}
    names = tuple(PHENOMENA)
    tries = 0
    while len(found) < count:
        new = grammatical_pair(rng, names[tries % len(names)])
        tries += 1
        if tries > 2000 * count:
            raise CorpusError(
                f"only {len(found)} of {count} grammatical pairs are in the {split} split"
            )
        if split_of(new.positive) == split:
            found.setdefault(new.positive, new)
    return list(found.values())


def ending_pair(rng: random.Random, pool: Pool, kind: Literal["topic", "story"]) -> Pair | None:
    """A story of the pool with its own ending and a wrong one of the pool; None if it has none.

    "topic": the ending of another topic, spoken of the same hero. "story": an ending of the same
    topic about another object, or about a hero of the other gender.
    """
    story = pool.compose(rng)
    end = story.lines[-1]
    found = [c for topic in pool.topics for c in pool.lines(topic, "end") if _wrong(end, c, kind)]
    # Draw what is wrong before which line is: neither common topics nor objects crowd out the rest.
    by_fault: dict[tuple[str, str], list[Line]] = {}
    for candidate in found:
        fault = "topic" if kind == "topic" else "gender" if candidate.girl != end.girl else "object"
        by_fault.setdefault((fault, candidate.topic), []).append(candidate)
    if not by_fault:
        return None
    drawn = rng.choice(sorted(by_fault))
    context = tuple(line.text for line in story.lines[:-1])
    wrong = rng.choice(by_fault[drawn])
    return Pair(kind, end.text, wrong.text, drawn[0], context, group=story.topic)


def _wrong(end: Line, other: Line, kind: Literal["topic", "story"]) -> bool:
    """Whether `other` is a fair wrong ending: same frame, same names, no cue in the length."""
    same_names = (other.hero, other.friend) == (end.hero, end.friend)
    same_length = abs(len(other.text.split()) - len(end.text.split())) <= 2
    if other.frame != end.frame or not same_names or not same_length:
        return False
    if kind == "topic":
        return other.topic != end.topic and other.girl == end.girl
    if other.topic != end.topic or end.obj is None or other.obj is None:
        return False
    if other.girl == end.girl:
        return other.obj != end.obj
    return other.girl is not None and other.obj == end.obj


def ending_pairs(
    rng: random.Random, pool: Pool, count: int, kind: Literal["topic", "story"]
) -> list[Pair]:
    """`count` pairs with different stories."""
    found: dict[tuple[str, ...], Pair] = {}
    misses = 0
    while len(found) < count and misses < _MISSES:
        new = ending_pair(rng, pool, kind)
        key = (*new.context, new.positive) if new else ()
        if new and key not in found:
            found[key] = new
            misses = 0
        else:
            misses += 1
    if len(found) < count:
        raise CorpusError(f"only {len(found)} of {count} {kind} endings: the pool is too small")
    return list(found.values())

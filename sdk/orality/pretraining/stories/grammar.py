"""Five-sentence children's stories from templates.

A `Line` is one sentence together with what it fixes (hero, friend, object, place, problem); a story is
five lines, one per slot, that fix nothing twice in different ways. Whether a line may be trained on is
decided by a hash of its text alone, so that no sentence is ever in two splits.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from orality.pretraining.stories.phrases import Topic, topics, words

Split = Literal["train", "dev", "test"]
SPLITS: tuple[Split, ...] = ("train", "dev", "test")
SLOTS = ("open", "want", "problem", "fix", "end")

_DAYS = ("One sunny day", "One morning", "Last week", "On Monday", "Early in the morning",
         "After school", "On a nice day", "Yesterday")  # fmt: skip
# H hero, F friend, o object; he/his/him and boy follow the hero. Repeats are weights.
_FRAMES: Mapping[str, tuple[str, ...]] = {
    "open": (
        "{day} {H} went {to} with a {a} {o}.",
        "{day} {H} took a {a} {o} {to}.",
        "{day} {H} was {at} with {his} {a} {o}.",
        "{H} and {his} friend {F} saw a {a} {o} {at}.",
        "There was a {boy} named {H} who loved {os}.",
        "{H} found a {a} {o} {at}.",
        "{F} gave {H} a {a} {o} {at}.",
        "{H} and {F} met {at} to see a {a} {o}.",
        "{H} was a little {boy} who had a {a} {o}.",
    ),
    "want": (
        "{H} wanted to {x}.",
        "{He} wanted to {x}.",
        "{He} wanted to {x}.",
        "{H} and {F} wanted to {x}.",
        "{F} asked {H} to {x}.",
        "{He} was happy to {x}.",
        "{H} hoped to {x}.",
        "{F} came to help {him} {x}.",
        "It was a good day to {x}.",
    ),
    "problem": (
        "But {x}.",
        "Then {x}.",
        "Suddenly {x}.",
        "{He} was sad because {x}.",
        "{He} cried when {x}.",
        "{F} saw that {x}.",
        "After a while {x}.",
        "{H} was worried because {x}.",
    ),
    "fix": (
        "{H} {x}.",
        "{F} {x}.",
        "So {he} {x}.",
        "Then {he} {x}.",
        "So {H} and {F} {x}.",
        "{F} came to help and {x}.",
        "{H} did not give up and {x}.",
        "{He} thought about it and {x}.",
    ),
    "end": (
        "In the end {x}.",
        "At last {x}.",
        "That night {x}.",
        "{H} smiled because {x}.",
        "{He} was happy because {x}.",
        "{He} clapped {his} hands when {x}.",
        "{H} and {F} laughed when {x}.",
        "{F} cheered when {x}.",
    ),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence of a story and what it fixes; None means that it leaves this open."""

    text: str
    slot: str
    frame: int
    topic: str
    phrase: int  # index among the topic's wants, problems, fixes of the problem, ends; -1 in openings
    obj: str | None = None
    hero: str | None = None
    friend: str | None = None
    girl: bool | None = None
    place: str | None = None
    problem: int | None = None

    def agrees(self, other: Line) -> bool:
        """Whether both lines can stand in one story."""
        fixed = ("obj", "hero", "friend", "girl", "place", "problem")
        if self.topic != other.topic:
            return False
        if self.friend and self.friend == other.hero or other.friend and other.friend == self.hero:
            return False
        return all(
            getattr(self, f) is None or getattr(other, f) is None or getattr(self, f) == getattr(other, f)
            for f in fixed
        )


@dataclass(frozen=True, slots=True)
class Story:
    """Five lines that agree with each other."""

    lines: tuple[Line, ...]

    @property
    def text(self) -> str:
        return " ".join(line.text for line in self.lines)

    @property
    def hero(self) -> str:
        return next(line.hero for line in self.lines if line.hero)

    @property
    def topic(self) -> str:
        return self.lines[0].topic


def split_of(text: str) -> Split:
    """The split a sentence belongs to: 8 % test, 4 % dev, from a hash of its words alone."""
    normal = " ".join(re.findall(r"[a-z']+", text.lower()))
    bucket = int.from_bytes(blake2b(normal.encode(), digest_size=4).digest(), "big") % 100
    return "test" if bucket < 8 else "dev" if bucket < 12 else "train"


def line(rng: random.Random, slot: str, topic: Topic | None = None) -> Line:
    """A random line for the slot ("open", "want", "problem", "fix" or "end")."""
    names = words()
    topic = topic or rng.choice(topics())
    girl = rng.random() < 0.5
    hero = rng.choice(names.she if girl else names.he)
    friend = rng.choice([n for n in names.names if n != hero])
    obj, plural = rng.choice(topic.objects)
    place = rng.choice(topic.places)
    frame = rng.randrange(len(_FRAMES[slot]))
    pattern = _FRAMES[slot][frame]
    phrase, problem, x = -1, None, ""
    if slot == "want":
        phrase = rng.randrange(len(topic.wants))
        x = topic.wants[phrase]
    elif slot == "problem":
        phrase = problem = rng.randrange(len(topic.problems))
        x = topic.problems[problem]
    elif slot == "fix":
        problem = rng.randrange(len(topic.problems))
        phrase = rng.randrange(len(topic.fixes[problem]))
        x = topic.fixes[problem][phrase]
    elif slot == "end":
        phrase = rng.randrange(len(topic.ends))
        x = topic.ends[phrase]
    text = pattern.format(
        x=x.format(o=obj), day=rng.choice(_DAYS), H=hero, F=friend, o=obj, os=plural, at=place,
        to="to the " + place.split("the ", 1)[1],
        a=rng.choice(topic.adjectives), he="she" if girl else "he", He="She" if girl else "He",
        his="her" if girl else "his", him="her" if girl else "him", boy="girl" if girl else "boy",
    )  # fmt: skip
    text = re.sub(r"\ba (?=[aeiou])", "an ", text[0].upper() + text[1:])
    return Line(
        text=text, slot=slot, frame=frame, topic=topic.name, phrase=phrase,
        obj=obj if "{o" in pattern + x else None,
        hero=hero if "{H}" in pattern else None,
        friend=friend if "{F}" in pattern else None,
        girl=girl if re.search(r"\{(H|[Hh]e|his|him|boy)\}", pattern) else None,
        place=place if "{at}" in pattern or "{to}" in pattern else None,
        problem=problem,
    )  # fmt: skip


def lines(rng: random.Random, count: int, split: Split) -> list[Line]:
    """`count` different lines of one split, spread evenly over the five slots and the topics."""
    found: dict[str, Line] = {}
    while len(found) < count:
        slot = SLOTS[len(found) % len(SLOTS)]
        new = line(rng, slot)
        if split_of(new.text) == split:
            found.setdefault(new.text, new)
    return list(found.values())


class Pool:
    """Lines by topic and slot, from which stories are composed."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines: dict[tuple[str, str], list[Line]] = {}
        for item in lines:
            self._lines.setdefault((item.topic, item.slot), []).append(item)
        self.topics = sorted({topic for topic, slot in self._lines if slot == "open"})

    def lines(self, topic: str, slot: str) -> list[Line]:
        """The lines of one topic and slot."""
        return self._lines.get((topic, slot), [])

    def compose(self, rng: random.Random, tries: int = 200) -> Story:
        """A story whose five lines agree; its object is named in at least three of them."""
        for _ in range(tries):
            topic = rng.choice(self.topics)
            story = [rng.choice(self.lines(topic, "open"))]
            for slot in SLOTS[1:]:
                fitting = [c for c in self.lines(topic, slot) if all(c.agrees(s) for s in story)]
                if not fitting:
                    break
                story.append(rng.choice(fitting))
            else:
                if sum(s.obj is not None for s in story) >= 3:
                    return Story(tuple(story))
        raise ValueError(f"no story among {sum(map(len, self._lines.values()))} lines in {tries} tries")

"""Five-sentence children's stories from templates.

A `Line` is one sentence together with what it fixes (hero, friend, object, place, problem); a
story is five lines, one per slot, that fix nothing twice in different ways. Whether a line may be
trained on is decided by a hash of its text alone, so that no sentence is ever in two splits.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from orality.errors import CorpusError
from orality.pretraining.stories.phrases import Topic, topics, words

Split = Literal["train", "dev", "prompt", "test"]
SLOTS = ("open", "want", "problem", "fix", "end")

# So many draws in a row without a new line mean that a slot is used up.
_MISSES = 2000
# The same for one slot of a split that has only a few lines in a hundred.
_SLOT_MISSES = 5_000
DAYS = ("One sunny day", "One morning", "Last week", "On Monday", "Early in the morning",
         "After school", "On a nice day", "Yesterday")  # fmt: skip
# H hero, F friend, o object; he/his/him and boy follow the hero. Repeats are weights.
FRAMES: Mapping[str, tuple[str, ...]] = {
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
    phrase: (
        int  # index among the topic's wants, problems, fixes of the problem, ends; -1 in openings
    )
    obj: str | None = None
    hero: str | None = None
    friend: str | None = None
    girl: bool | None = None
    place: str | None = None
    problem: int | None = None

    def agrees(self, other: Line) -> bool:
        """Whether both lines can stand in one story."""
        if self.friend and self.friend == other.hero:
            return False
        if other.friend and other.friend == self.hero:
            return False
        return (
            self.topic == other.topic
            and _same(self.hero, other.hero)
            and _same(self.obj, other.obj)
            and _same(self.girl, other.girl)
            and _same(self.friend, other.friend)
            and _same(self.problem, other.problem)
            and _same(self.place, other.place)
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


def way_to(place: str) -> str:
    """How one goes there: "to the windy hill" for "on the windy hill"."""
    return "to the " + place.split("the ", 1)[1]


def _same(a: object, b: object) -> bool:
    return a is None or b is None or a == b


def split_of(text: str) -> Split:
    """The split of a sentence, from a hash of its words alone.

    8 % test, 2 % prompt (what alignment starts from), 2 % dev, the rest train.
    """
    normal = " ".join(re.findall(r"[a-z']+", text.lower()))
    bucket = int.from_bytes(blake2b(normal.encode(), digest_size=4).digest(), "big") % 100
    return "test" if bucket < 8 else "prompt" if bucket < 10 else "dev" if bucket < 12 else "train"


def line(rng: random.Random, slot: str, topic: Topic | None = None) -> Line:
    """A random line for the slot ("open", "want", "problem", "fix" or "end")."""
    names = words()
    topic = topic or rng.choice(topics())
    girl = rng.random() < 0.5
    hero = rng.choice(names.she if girl else names.he)
    friend = rng.choice([n for n in names.names if n != hero])
    obj, plural = rng.choice(topic.objects)
    place = rng.choice(topic.places)
    frame = rng.randrange(len(FRAMES[slot]))
    pattern = FRAMES[slot][frame]
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
        x=x.format(o=obj), day=rng.choice(DAYS), H=hero, F=friend, o=obj, os=plural, at=place,
        to=way_to(place),
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
    """Up to `count` different lines of one split, spread over the five slots while they last.

    Fewer come back when the grammar has no more of that split.
    """
    found: dict[str, Line] = {}
    slots = list(SLOTS)
    misses = 0
    while len(found) < count and slots:
        slot = slots[len(found) % len(slots)]
        new = line(rng, slot)
        if split_of(new.text) == split and new.text not in found:
            found[new.text] = new
            misses = 0
        else:
            misses += 1
        if misses > _MISSES:
            slots.remove(slot)
            misses = 0
    return list(found.values())


def slot_lines(rng: random.Random, slot: str, count: int, split: Split) -> list[Line]:
    """Up to `count` different lines of one slot and split; fewer when the grammar has no more."""
    found: dict[str, Line] = {}
    misses = 0
    while len(found) < count and misses < _SLOT_MISSES:
        new = line(rng, slot)
        misses += 1
        if split_of(new.text) == split and new.text not in found:
            found[new.text] = new
            misses = 0
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

    def compose(self, rng: random.Random, *, length: int = len(SLOTS), tries: int = 500) -> Story:
        """A story whose first `length` lines agree; its object is named in most of them."""
        for _ in range(tries):
            topic = rng.choice(self.topics)
            story = self.story_after(rng, rng.choice(self.lines(topic, "open")), length=length)
            if story is not None:
                return story
        raise CorpusError(
            f"found no story in {tries} tries among {sum(map(len, self._lines.values()))} lines: "
            "make more lines of this split"
        )

    def story_after(
        self, rng: random.Random, opening: Line, *, length: int = len(SLOTS)
    ) -> Story | None:
        """One draw of a story that begins with the opening; None when the lines drawn do not fit.

        The opening need not be one of the pool.
        """
        story = [opening]
        for slot in SLOTS[1:length]:
            following = self._following(rng, opening.topic, slot, story)
            if following is None:
                return None
            story.append(following)
        named = sum(s.obj is not None for s in story)
        return Story(tuple(story)) if named > length // 2 else None

    def _following(
        self, rng: random.Random, topic: str, slot: str, story: list[Line]
    ) -> Line | None:
        """A line that agrees with the story so far, each such line equally likely."""
        candidates = self.lines(topic, slot)
        # Most draws fail; drawing is still cheaper than comparing every line.
        for _ in range(min(30, len(candidates))):
            drawn = rng.choice(candidates)
            if all(drawn.agrees(s) for s in story):
                return drawn
        fitting = [c for c in candidates if all(c.agrees(s) for s in story)]
        return rng.choice(fitting) if fitting else None

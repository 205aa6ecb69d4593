"""Whether a continuation keeps to the topic, people, object and order that its prompt began."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from orality.pretraining.stories import SLOTS, topics, words
from orality_judge_stories.lattice import lattice
from orality_judge_stories.parse import Found, Parse, Sentence
from orality_judge_stories.patterns import objects

_PROBLEM, _FIX = SLOTS.index("problem"), SLOTS.index("fix")


@dataclass(slots=True)
class _Share:
    """How many mentions agree; all do where there are none."""

    agreeing: int = 0
    count: int = 0

    def add(self, agrees: bool) -> None:
        self.agreeing += agrees
        self.count += 1

    @property
    def value(self) -> float:
        return self.agreeing / self.count if self.count else 1.0


@dataclass(frozen=True, slots=True)
class Agreement:
    """Shares in [0, 1] of what the continuation mentions that agree with the story so far; 1 where
    it mentions nothing of the kind.

    `topic`: of words that few topics have. `hero`: of names and pronouns. `object`: of objects.
    `order`: of sentences that begin in the continuation and are the next of a story's five (a
    new story may begin after the fifth), where a problem's solution solves the one that was told.
    """

    topic: float
    hero: float
    object: float
    order: float


@dataclass(slots=True)
class _Story:
    """What is fixed so far; what is not is fixed by its first mention."""

    hero: str | None = None
    friend: str | None = None
    girl: bool | None = None
    thing: str | None = None
    slot: int | None = None
    problem: tuple[int, int | None] | None = None
    shares: dict[str, _Share] = field(
        default_factory=lambda: {n: _Share() for n in ("topic", "hero", "object", "order")}
    )

    def person(self, name: str, parts: str) -> bool:
        """Whether a name fits one of the parts that it may play here."""
        if "H" in parts and self.hero == name:
            return True
        girl = name in _SHE
        if "H" in parts and self.hero is None and name != self.friend and self.girl in (None, girl):
            self.hero, self.girl = name, girl
            return True
        if "F" in parts and name != self.hero and self.friend in (None, name):
            self.friend = name
            return True
        return False

    def gender(self, girl: bool) -> bool:
        """Whether a pronoun is the hero's."""
        if self.girl is None:
            self.girl = girl
        return self.girl == girl

    def object(self, thing: str) -> bool:
        if self.thing is None:
            self.thing = thing
        return self.thing == thing


def agreement(parse: Parse) -> Agreement:
    """Compare the continuation's sentences with what the prompt and they themselves fixed."""
    story = _Story()
    for sentence in parse.sentences:
        _place(sentence, story, parse)
        for found in sentence.words:
            mine = found.index >= parse.prompt_words
            if mine and lattice().tells_topic(found.node):
                story.shares["topic"].add(sentence.topic in parse.prompt_topics)
            for share, agrees in _mentions(found, sentence, story):
                if mine:
                    story.shares[share].add(agrees)
    return Agreement(**{name: share.value for name, share in story.shares.items()})


def _mentions(found: Found, sentence: Sentence, story: _Story) -> Iterator[tuple[str, bool]]:
    parts = lattice().place(found.node).parts
    if not parts:
        return
    said = lattice().nearest(found.word, found.node)
    if parts == "g":
        yield "hero", story.gender(said in ("she", "her", "girl"))
    elif parts == "o":
        yield "object", story.object(_OBJECTS[sentence.topic][said])
    else:
        # A name at which the text stops may still become anybody.
        yield "hero", story.person(said, parts if len(sentence.words) > 1 else "HF")


def _place(sentence: Sentence, story: _Story, parse: Parse) -> None:
    """Count whether a sentence that begins in the continuation comes in its place."""
    before, story.slot = story.slot, sentence.slot
    problem = _problem(sentence)
    told = story.problem
    if sentence.slot == _PROBLEM:
        story.problem = problem
    if not sentence.words or sentence.words[0].index < parse.prompt_words:
        return
    follows = sentence.slot == (0 if before is None else (before + 1) % len(SLOTS))
    solves = sentence.slot != _FIX or None in (told, problem) or told == problem
    story.shares["order"].add(follows and solves)


def _problem(sentence: Sentence) -> tuple[int, int | None] | None:
    """The topic and number of the problem that a sentence is about, if it says so much."""
    chains = [lattice().chain(found.node) for found in sentence.words]
    numbers = [chain.problem for chain in chains if chain.problem is not None]
    return (sentence.topic, numbers[-1]) if numbers else None


_SHE = frozenset(name.lower() for name in words().she)
_OBJECTS = tuple(objects(topic) for topic in topics())

"""Which trials a listening test has, under which names, and who hears which of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Literal, get_args

from orality.errors import EvaluationError
from orality.listening.samples import Sample

Kind = Literal["mmos", "preference"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One question. `clips`: the prompt's, then one continuation (MMOS) or two (preference).

    `samples` are what the continuations are, in the same order. An attention check plays one of
    its clips `backwards`: that must be rated low, or lose.
    """

    id: str
    clips: Sequence[str]
    samples: Sequence[Sample]
    backwards: str | None = None


@dataclass(frozen=True, slots=True)
class Design:
    """A whole test. A rater hears one of `sets` (lists of trial ids), in an order of their own."""

    kind: Kind
    trials: Sequence[Trial]
    sets: Sequence[Sequence[str]]


def design_test(
    chosen: Sequence[Sequence[Sample]],
    *,
    kind: Kind = "mmos",
    pairs: Sequence[tuple[str, str]] | None = None,
    per_set: int | None = None,
    checks: int | None = None,
    draw: random.Random,
) -> Design:
    """Trials of the samples of each prompt, divided into sets of at most `per_set` trials.

    Sets are balanced over systems, and no set has a prompt twice as long as there are at least
    `per_set` prompts. `pairs` of systems are compared in a preference test (all: None). Each set
    has `checks` attention checks beside (None: one, two from ten trials on), none shared with
    another set, so that nothing in the page gives them away.
    """
    if kind not in get_args(Kind):
        raise EvaluationError(f"a listening test is mmos or preference, got {kind!r}")
    names = _Names(draw)
    questions = _questions(chosen, kind, pairs)
    for group in questions:
        draw.shuffle(group)
    trials = [Trial(names.new(), names.clips(group), group) for group in questions]
    size = len(trials) if per_set is None else per_set
    if size < 1 or (checks is not None and checks < 0):
        raise EvaluationError("a set has at least one trial, and no negative number of checks")
    count = -(-len(trials) // size)
    bounds = [index * len(trials) // count for index in range(count + 1)]
    parts = [trials[start:end] for start, end in pairwise(bounds)]
    sets, hidden = [], []
    for part in parts:
        wanted = (2 if len(part) >= 10 else 1) if checks is None else checks
        made = [_check(draw.choice(trials).samples[0], kind, names, draw) for _ in range(wanted)]
        hidden += made
        ids = [trial.id for trial in [*part, *made]]
        draw.shuffle(ids)
        sets.append(ids)
    everything = [*trials, *hidden]
    draw.shuffle(everything)
    return Design(kind, everything, sets)


def rater_order(seed: int, trials: Sequence[str]) -> list[str]:
    """The order in which the page plays a set's trials to the rater with this 32-bit seed."""
    order, state = list(trials), seed & 0xFFFFFFFF
    for last in range(len(order) - 1, 0, -1):
        state, share = mulberry32(state)
        place = int(share * (last + 1))
        order[last], order[place] = order[place], order[last]
    return order


def mulberry32(state: int) -> tuple[int, float]:
    """One step of the page's generator: the next state, and a number in [0, 1)."""
    state = (state + 0x6D2B79F5) & 0xFFFFFFFF
    mixed = ((state ^ (state >> 15)) * (state | 1)) & 0xFFFFFFFF
    mixed ^= (mixed + ((mixed ^ (mixed >> 7)) * (mixed | 61))) & 0xFFFFFFFF
    return state, ((mixed ^ (mixed >> 14)) & 0xFFFFFFFF) / 2**32


def random_name(draw: random.Random) -> str:
    """Eight hexadecimal digits, a letter first: no reader of tables takes them for a number."""
    return draw.choice("abcdef") + f"{draw.getrandbits(28):07x}"


def _questions(
    chosen: Sequence[Sequence[Sample]], kind: Kind, pairs: Sequence[tuple[str, str]] | None
) -> list[list[Sample]]:
    """Samples of every trial, rotated so that neighbors differ in prompt and in systems."""
    options: list[list[list[Sample]]] = []
    for group in chosen:
        if kind == "mmos":
            options.append([[sample] for sample in group])
            continue
        by_system = {sample.system: sample for sample in group}
        wanted = list(combinations(by_system, 2)) if pairs is None else list(pairs)
        unknown = [n for pair in wanted for n in pair if n not in by_system]
        if unknown or not wanted or any(a == b for a, b in wanted):
            raise EvaluationError(
                f"a preference test compares two of {', '.join(by_system)}"
                + (f", not {unknown[0]!r}" if unknown else "")
            )
        options.append([[by_system[a], by_system[b]] for a, b in wanted])
    turns = len(options[0]) if options else 0
    return [
        list(choices[(index + turn) % turns])
        for turn in range(turns)
        for index, choices in enumerate(options)
    ]


def _check(sample: Sample, kind: Kind, names: _Names, draw: random.Random) -> Trial:
    backwards = names.new()
    heard = [backwards]
    if kind == "preference":
        heard.append(names.clip(sample.id, sample.system))
        draw.shuffle(heard)
    prompt = names.clip(sample.prompt_id, "prompt")
    return Trial(names.new(), [prompt, *heard], [sample] * len(heard), backwards)


class _Names:
    """Random names, none twice; the same recording keeps its name."""

    def __init__(self, draw: random.Random) -> None:
        self._draw, self._taken = draw, set[str]()
        self._clips: dict[tuple[str, str], str] = {}

    def new(self) -> str:
        while (name := random_name(self._draw)) in self._taken:
            continue
        self._taken.add(name)
        return name

    def clip(self, what: str, whose: str) -> str:
        key = (what, whose)
        if key not in self._clips:
            self._clips[key] = self.new()
        return self._clips[key]

    def clips(self, group: Sequence[Sample]) -> list[str]:
        prompt = self.clip(group[0].prompt_id, "prompt")
        return [prompt, *(self.clip(sample.id, sample.system) for sample in group)]

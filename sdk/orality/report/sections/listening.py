"""What can be listened to: prompts with everything that was said after them, within a size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from orality.report.data.run_data import Continuation, Prompt, RunData
from orality.report.player import Clip, embed


@dataclass(frozen=True, slots=True)
class Take:
    """A continuation and its sound; `clip` is None where there is no audio."""

    item: Continuation
    clip: Clip | None


@dataclass(frozen=True, slots=True)
class Group:
    """Takes under one heading: of a round, or of one seed."""

    name: str
    takes: Sequence[Take]


@dataclass(frozen=True, slots=True)
class Entry:
    """A prompt and all its groups."""

    prompt: Prompt
    clip: Clip | None
    groups: Sequence[Group]


@dataclass(frozen=True, slots=True)
class Listening:
    """`entries` of `total` prompts are on the page; `too_large`: left out to keep it small."""

    entries: Sequence[Entry]
    total: int
    too_large: int
    size: int


_GOLDEN_RATIO = 0.6180339887498949
Spoken = Mapping[str, Sequence[Continuation]]  # by heading


def of_rounds(run: RunData, *, limit: int, size: int) -> Listening:
    """Prompts of training and dev, each with its continuations of every round."""
    return gather(
        run, {stage.name: stage.continuations for stage in run.rounds}, limit=limit, size=size
    )


def of_evaluation(run: RunData, *, limit: int, size: int) -> Listening:
    """Held-out prompts, each with every system's continuations, in the order of the results."""
    found = gather(run, run.spoken, limit=limit, size=size)
    return replace(found, entries=[_by_sample(entry) for entry in found.entries])


def gather(run: RunData, spoken: Spoken, *, limit: int, size: int) -> Listening:
    """At most `limit` prompts, spread evenly over their ids without a look at any score.

    A prompt comes with all its continuations or not at all; `size` bounds the bytes they add.
    """
    said: dict[str, dict[str, list[Continuation]]] = {}
    for name, items in spoken.items():
        for item in items:
            said.setdefault(item.prompt_id, {}).setdefault(name, []).append(item)
    entries: list[Entry] = []
    picked = spread(sorted(said), limit)
    used = 0
    for key in scattered(picked):
        entry = _entry(run.prompts.get(key) or unknown(key), said[key])
        added = _size(entry)
        if used + added > size:
            break
        used += added
        entries.append(entry)
    entries.sort(key=lambda entry: entry.prompt.id)
    return Listening(entries, len(said), len(picked) - len(entries), used)


def spread(ids: Sequence[str], count: int) -> list[str]:
    """`count` of the ids at even distances, or all of them."""
    if count >= len(ids):
        return list(ids)
    return [ids[index * len(ids) // count] for index in range(max(count, 0))]


def scattered(ids: Sequence[str]) -> list[str]:
    """The ids in an order of which every beginning is spread over all of them."""
    return [ids[number] for number in sorted(range(len(ids)), key=lambda n: n * _GOLDEN_RATIO % 1)]


def _entry(prompt: Prompt, said: Mapping[str, Sequence[Continuation]]) -> Entry:
    groups = [
        Group(name, [Take(item, embed(item.audio)) for item in sorted(items, key=_order)])
        for name, items in said.items()
    ]
    return Entry(prompt, embed(prompt.audio), groups)


def _by_sample(entry: Entry) -> Entry:
    """The same takes with those of one seed under one heading, a system beside the other."""
    most = max((len(group.takes) for group in entry.groups), default=0)
    rows = [
        Group(
            f"sample {number + 1}" if most > 1 else "",
            [group.takes[number] for group in entry.groups if number < len(group.takes)],
        )
        for number in range(most)
    ]
    return replace(entry, groups=rows)


def _order(item: Continuation) -> tuple[int, str]:
    return len(item.id), item.id  # so that 10 comes after 9


def _size(entry: Entry) -> int:
    clips = [entry.clip, *(take.clip for group in entry.groups for take in group.takes)]
    return sum(clip.size for clip in clips if clip is not None)


def unknown(key: str) -> Prompt:
    """A prompt of which only the id is known."""
    return Prompt(key, split="", text="", truth="", audio=None, skipped=None)

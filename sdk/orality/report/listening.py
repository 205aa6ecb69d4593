"""What can be listened to: prompts with everything that was said after them, within a size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orality.report.player import Clip, embed
from orality.report.run_data import Continuation, Prompt, RunData


@dataclass(frozen=True, slots=True)
class Take:
    """A continuation and its sound; `clip` is None where there is no audio."""

    item: Continuation
    clip: Clip | None


@dataclass(frozen=True, slots=True)
class Group:
    """Takes under one heading: of a round, or of a system."""

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


Spoken = Mapping[str, Sequence[Continuation]]  # by heading


def of_rounds(run: RunData, *, limit: int, size: int) -> Listening:
    """Prompts of training and dev, each with its continuations of every round."""
    return gather(
        run, {stage.name: stage.continuations for stage in run.rounds}, limit=limit, size=size
    )


def of_evaluation(run: RunData, *, limit: int, size: int) -> Listening:
    """Held-out prompts, each with every system's continuations, in the order of the results."""
    spoken: dict[str, list[Continuation]] = {}
    for item in run.samples:
        spoken.setdefault(item.system, []).append(item)
    known = [system.name for system in run.results.systems] if run.results else []
    order = [name for name in known if name in spoken]
    order += [name for name in sorted(spoken) if name not in known]
    return gather(run, {name: spoken[name] for name in order}, limit=limit, size=size)


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
    for key in picked:
        entry = _entry(run.prompts.get(key) or _unknown(key), said[key])
        added = _size(entry)
        if used + added > size:
            break
        used += added
        entries.append(entry)
    return Listening(entries, len(said), len(picked) - len(entries), used)


def spread(ids: Sequence[str], count: int) -> list[str]:
    """`count` of the ids at even distances, or all of them."""
    if count >= len(ids):
        return list(ids)
    return [ids[index * len(ids) // count] for index in range(max(count, 0))]


def _entry(prompt: Prompt, said: Mapping[str, Sequence[Continuation]]) -> Entry:
    groups = [
        Group(name, [Take(item, embed(item.audio)) for item in sorted(items, key=_order)])
        for name, items in said.items()
    ]
    return Entry(prompt, embed(prompt.audio), groups)


def _order(item: Continuation) -> tuple[int, str]:
    return len(item.id), item.id  # so that 10 comes after 9


def _size(entry: Entry) -> int:
    clips = [entry.clip, *(take.clip for group in entry.groups for take in group.takes)]
    return sum(clip.size for clip in clips if clip is not None)


def _unknown(key: str) -> Prompt:
    return Prompt(key, split="", text="", truth="", audio=None, skipped=None)

"""The phrase data behind the stories: topics, names and word lists, read from package YAML."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Topic:
    """One story topic: what it is about, where it happens, what goes wrong and how it ends."""

    name: str
    objects: tuple[tuple[str, str], ...]  # (singular, plural)
    adjectives: tuple[str, ...]
    places: tuple[str, ...]  # "on the hill"
    wants: tuple[str, ...]
    problems: tuple[str, ...]
    fixes: tuple[tuple[str, ...], ...]  # fixes[i] solve problems[i]
    ends: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """Word lists for single sentences and minimal pairs."""

    she: tuple[str, ...]
    he: tuple[str, ...]
    beings: tuple[tuple[str, str], ...]
    things: tuple[tuple[str, str], ...]
    adjectives: tuple[str, ...]
    moods: tuple[str, ...]
    verbs: tuple[tuple[str, ...], ...]  # (he-form, they-form, base, past)
    transitive: tuple[tuple[str, ...], ...]
    places: tuple[str, ...]
    more_nouns: tuple[str, ...]
    more_verbs: tuple[str, ...]
    more_adjectives: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return self.she + self.he


def _data(name: str) -> dict[str, Any]:
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.safe_load(text)
    return data


def singular_plural(entry: str) -> tuple[str, str]:
    """("paper plane", "paper planes") from "paper plane paper planes": two equal halves."""
    words = entry.split()
    half = len(words) // 2
    return " ".join(words[:half]), " ".join(words[half:])


@cache
def topics() -> tuple[Topic, ...]:
    """All story topics, in file order."""
    return tuple(_topics())


def _topics() -> Iterator[Topic]:
    for name, row in _data("topics.yaml").items():
        yield Topic(
            name=name,
            objects=tuple(singular_plural(o) for o in row["objects"]),
            adjectives=tuple(row["adjectives"]),
            places=tuple(row["places"]),
            wants=tuple(row["wants"]),
            problems=tuple(row["problems"]),
            fixes=tuple(tuple(f) for f in row["problems"].values()),
            ends=tuple(row["ends"]),
        )


@cache
def words() -> Words:
    """The word lists."""
    row = _data("words.yaml")
    return Words(
        she=tuple(row["names"]["she"]),
        he=tuple(row["names"]["he"]),
        beings=tuple(singular_plural(n) for n in row["beings"]),
        things=tuple(singular_plural(n) for n in row["things"]),
        adjectives=tuple(row["adjectives"]),
        moods=tuple(row["moods"]),
        verbs=tuple(tuple(v.split()) for v in row["verbs"]),
        transitive=tuple(tuple(v.split()) for v in row["transitive"]),
        places=tuple(row["places"]),
        more_nouns=tuple(row["more_nouns"]),
        more_verbs=tuple(row["more_verbs"]),
        more_adjectives=tuple(row["more_adjectives"]),
    )

"""A judge that likes continuations of a certain length: a whole plugin."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from orality import ComponentConfig, JudgeRequest, JudgeSpec, Verdict, hookimpl


class WordCountConfig(ComponentConfig):
    """How many words are best."""

    target: int = 12


class WordCount:
    """5 for exactly as many words as asked for, a point less for each word too many or too few."""

    def __init__(self, target: int) -> None:
        self.target = target

    def score(self, requests: Sequence[JudgeRequest]) -> list[Verdict]:
        """One verdict each, in order."""
        lengths = [len((request.continuation_text or "").split()) for request in requests]
        return [Verdict(score=max(1.0, 5.0 - abs(n - self.target))) for n in lengths]


@hookimpl
def orality_judges() -> Iterable[JudgeSpec[Any]]:
    """The `word-count` judge."""
    yield JudgeSpec(
        name="word-count",
        config=WordCountConfig,
        build=lambda config: WordCount(config.target),
        reads=frozenset({"text"}),
        scale=(1.0, 5.0),
    )

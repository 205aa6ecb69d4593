"""The stories' own grammar as a judge for orality: the judge `stories`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import Field

from orality import ComponentConfig, Judge, JudgeSpec, hookimpl

SCALE = (1.0, 5.0)


class StoriesConfig(ComponentConfig):
    """The grammar is fixed; only what counts as too short is not."""

    min_words: int = Field(4, ge=1)
    """A continuation of fewer words scores lower in proportion: there is too little to judge."""


def build(config: StoriesConfig) -> Judge:
    from orality_judge_stories.judge import StoriesJudge

    return StoriesJudge(min_words=config.min_words)


def languages(config: StoriesConfig) -> frozenset[str]:
    return frozenset({"en"})


@hookimpl
def orality_judges() -> Iterable[JudgeSpec[Any]]:
    yield JudgeSpec(
        name="stories",
        config=StoriesConfig,
        build=build,
        reads=frozenset({"text"}),
        scale=SCALE,
        languages=languages,
    )

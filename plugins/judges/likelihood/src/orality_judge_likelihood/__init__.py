"""Likelihood judge for orality: the judge `likelihood`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field

from orality import ComponentConfig, Judge, JudgeSpec, hookimpl

SCALE = (1.0, 5.0)
SHIPPED = "smollm2-135m-instruct"


class LikelihoodConfig(ComponentConfig):
    """Which text model judges, and how its likelihoods become scores."""

    checkpoint: str = SHIPPED
    """`smollm2-135m-instruct`, or anything `orality.fetch` resolves to a folder with a causal
    language model and its tokenizer."""
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto`: bfloat16 where the processor or GPU has it, else float32. bfloat16 is 2.7 times as
    fast there and moves scores by some 0.02."""
    calibration: str | None = None
    """A JSON file made by `python -m orality_judge_likelihood.calibrate`; needed for any text model
    but the shipped one."""
    language: str | None = None
    """The text model's language, ISO 639-1; None: English for the shipped model, else any."""
    min_words: int = Field(4, ge=1)
    """A continuation of fewer words scores lower in proportion: there is too little to judge."""
    batch_tokens: int = Field(1024, ge=1)
    """Tokens per forward pass, padding included."""


def build(config: LikelihoodConfig) -> Judge:
    from orality_judge_likelihood.judge import load

    return load(config)


def languages(config: LikelihoodConfig) -> frozenset[str] | None:
    if config.language:
        return frozenset({config.language})
    return frozenset({"en"}) if config.checkpoint == SHIPPED else None


@hookimpl
def orality_judges() -> Iterable[JudgeSpec[Any]]:
    yield JudgeSpec(
        name="likelihood",
        config=LikelihoodConfig,
        build=build,
        reads=frozenset({"text"}),
        scale=SCALE,
        languages=languages,
    )

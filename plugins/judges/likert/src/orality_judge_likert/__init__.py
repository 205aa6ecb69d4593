"""The judge `likert`: an instruct language model rates from 1 to 5 (Align-SLM, section 3.2.2)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from orality import ComponentConfig, JudgeSpec, hookimpl

if TYPE_CHECKING:
    from orality_judge_likert.judge import LikertJudge

__all__ = ["LikertConfig", "orality_judges"]


class LikertConfig(ComponentConfig):
    """Which model rates, and by which rubric."""

    checkpoint: str = "mistralai/Mistral-7B-Instruct-v0.2"
    """A folder with a causal language model and its tokenizer, or a name orality.fetch knows."""
    rubric: Path | None = None
    """A Jinja template with `prompt`, `continuation` and `language`; None: the one in this
    package."""
    system: str = ""
    """What a system message says, before the rubric; in the user's turn where there is no such
    role."""
    answer_prefix: str = "Rating: "
    """What the answer is made to begin with. The space at its end belongs to the digit."""
    device: str = "auto"
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    max_characters: int = Field(4000, ge=1)
    """Longer transcripts are cut, so that no transcript can push the rubric out of the context."""
    batch_tokens: int = Field(8192, ge=1)
    """Tokens per forward pass, padding and each row's rubric included: what memory allows."""
    languages: frozenset[str] | None = None
    """Languages that the model reads well enough to judge, ISO 639-1; None: no claim is made."""


def _build(config: LikertConfig) -> LikertJudge:
    from orality_judge_likert.loading import load_judge

    return load_judge(config)


@hookimpl
def orality_judges() -> Iterable[JudgeSpec[Any]]:
    """The `likert` judge."""
    yield JudgeSpec(
        name="likert",
        config=LikertConfig,
        build=_build,
        reads=frozenset({"text"}),
        scale=(1.0, 5.0),
        languages=lambda config: config.languages,
    )

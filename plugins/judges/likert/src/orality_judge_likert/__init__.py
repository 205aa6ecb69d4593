"""The judge `likert`: an instruct language model rates from 1 to 5 (Align-SLM, section 3.2.2)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from orality import ComponentConfig, JudgeSpec, hookimpl

if TYPE_CHECKING:
    from orality_judge_likert.judge import LikertJudge

__all__ = ["LikertConfig", "orality_judges"]


class LikertConfig(ComponentConfig):
    """Which model rates, and by which rubric."""

    checkpoint: str = "mistralai/Mistral-7B-Instruct-v0.2"
    """A folder with a causal language model and its tokenizer, or a name orality.fetch knows."""
    rubric: Path | None = None
    """A Jinja template with `prompt` and `continuation`; None: the one in this package."""
    answer_prefix: str = "Rating: "
    """What the answer is made to begin with."""
    device: str = "auto"
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    max_characters: int = 4000
    """Longer transcripts are cut, so that no transcript can push the rubric out of the context."""


def _build(config: LikertConfig) -> LikertJudge:
    from orality_judge_likert.judge import load_judge

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
    )

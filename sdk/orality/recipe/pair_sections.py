"""The sections of a recipe that say which pairs a round makes, and how rounds follow each other."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from orality.recipe.sections import Section

AUTO: Literal["auto"] = "auto"
Quantile = Annotated[str, StringConstraints(pattern=r"^(100|\d{1,2})(\.\d+)?%$")]
Threshold = float | Literal["auto"] | Quantile


class Thresholds(Section):
    """One curriculum round of Align-SLM's equation 2: chosen >= s_c, rejected <= s_r.

    Each is a score, a quantile of the round's own scores (`30%`), or `auto`: the strictest
    quantiles at which `selection.wanted_yield` of the prompts still give a pair. A round that is
    just `auto` has both.
    """

    rejected: Threshold
    chosen: Threshold

    @model_validator(mode="before")
    @classmethod
    def _auto_is_both(cls, given: Any) -> Any:
        return {"rejected": AUTO, "chosen": AUTO} if given == AUTO else given

    @model_validator(mode="after")
    def _auto_together(self) -> Self:
        if (self.rejected == AUTO) != (self.chosen == AUTO):
            raise ValueError(
                "rejected and chosen are both auto or neither is: what one should be depends on "
                "the other"
            )
        return self

    @property
    def scores(self) -> tuple[float, float] | None:
        """(rejected, chosen) where both are scores; None where they depend on the round's."""
        if isinstance(self.rejected, str) or isinstance(self.chosen, str):
            return None
        return self.rejected, self.chosen

    def __str__(self) -> str:
        return f"{_threshold(self.rejected)} and {_threshold(self.chosen)}"


def _threshold(value: Threshold) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def verdicts_of(judge: str | None) -> str:
    """The folder of a judge's verdicts: of the recipe's judge for None, else of a further one."""
    return "verdicts" if judge is None else f"verdicts-{judge}"


class SelectionOptions(Section):
    """How preference pairs are selected (Align-SLM, equations 1 and 2)."""

    max_auto_bleu: Annotated[float, Field(ge=0, le=1)] | Literal["auto"] = 0.1
    """delta: text that repeats itself more than this is not chosen, and may be rejected. `auto`:
    what 95 % of the true continuations stay below, and at least one repeated bigram in a text of
    usual length."""
    pairs_per_prompt: int = Field(1, ge=1)
    """1: the best against the worst. More: all pairs of a prompt, the widest gaps first, up to so
    many; the engine reads each continuation once."""
    min_gap: Annotated[float, Field(ge=0)] | Literal["auto"] = 0.0
    """How much higher the chosen side must score. `auto`: the standard deviation of scores within
    a prompt."""
    repetition_pairs: bool = False
    """Also reject, for its repetition alone, what scores as high as the chosen side or higher."""
    wanted_yield: float = Field(0.8, gt=0, le=1)
    """The share of prompts that should give a pair, for thresholds that are `auto`."""
    judge: str | None = None
    """Whose scores decide: one of `further_judges`; None: the recipe's judge."""

    @property
    def verdicts(self) -> str:
        """The folder of the verdicts that decide."""
        return verdicts_of(self.judge)


class CurriculumOptions(Section):
    """How rounds follow each other; their thresholds are in `rounds`."""

    prompts: Literal["all", "new"] = "all"
    """Whether every round continues all train prompts, or each its own part of them."""
    adopt: Literal["always", "better"] = "always"
    """`better`: the policy of a round is kept if the dev prompts' continuations score higher than
    before it; else the next round starts from the policy before."""

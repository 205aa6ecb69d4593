"""The judge `anthropic`: Claude grades a continuation from 1 to 5, by structured output."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from orality import JudgeSpec, ServerJudgeConfig, TokenPrice, hookimpl
from orality.judging import plain_address

if TYPE_CHECKING:
    from orality_judge_anthropic.judge import AnthropicJudge

__all__ = ["AnthropicConfig", "orality_judges"]


class AnthropicConfig(ServerJudgeConfig):
    """Which model grades, and how. The key is read from the environment, never from here."""

    neutral: ClassVar[frozenset[str]] = ServerJudgeConfig.neutral | {
        "api_key_env", "batch", "poll_seconds",
    }  # fmt: skip

    model: str = Field("claude-haiku-5-5", min_length=1)
    thinking: bool = False
    """Let the model think first, where it need not (some always do)."""
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    """The model's own default if absent."""
    max_tokens: int | None = Field(None, ge=1)
    """Of one reply, thinking included; None: 64, or 4096 for a model that thinks."""
    batch: bool = False
    """Use Message Batches: half the price, within a day rather than seconds."""
    poll_seconds: float = Field(60.0, gt=0)
    """How often a batch is looked at."""
    base_url: str | None = None
    """Another address of the API; None: ANTHROPIC_BASE_URL, or Anthropic's own."""
    api_key_env: str = Field("ANTHROPIC_API_KEY", pattern=r"^[A-Z][A-Z0-9_]*$")
    """The environment variable that holds the API key."""

    @field_validator("base_url")
    @classmethod
    def _address_alone(cls, url: str | None) -> str | None:
        return None if url is None else plain_address(url)


def _build(config: AnthropicConfig) -> AnthropicJudge:
    from orality_judge_anthropic.judge import load_judge

    return load_judge(config)


def _price(config: AnthropicConfig) -> TokenPrice | None:
    from orality_judge_anthropic.models import batch_factor, price_of

    charged = config.price or price_of(config.model)
    if charged is None:
        return None
    factor = batch_factor() if config.batch else 1.0
    return TokenPrice(input=factor * charged.input, output=factor * charged.output)


@hookimpl
def orality_judges() -> Iterable[JudgeSpec[Any]]:
    """The `anthropic` judge."""
    yield JudgeSpec(
        name="anthropic",
        config=AnthropicConfig,
        build=_build,
        reads=frozenset({"text"}),
        scale=(1.0, 5.0),
        local=False,
        # one batch serves many requests; else a killed run is to lose little
        price=_price,
        batch_size=lambda config: 10_000 if config.batch else max(20, 4 * config.concurrency),
    )

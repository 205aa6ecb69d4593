"""The judge `openai-compatible`: any server of the chat completions API grades from 1 to 5."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator

from orality import JudgeSpec, ServerJudgeConfig, hookimpl
from orality.judging import check_no_keys, plain_address

if TYPE_CHECKING:
    from orality_judge_openai_compatible.judge import OpenAICompatibleJudge

__all__ = ["OpenAICompatibleConfig", "orality_judges"]


class OpenAICompatibleConfig(ServerJudgeConfig):
    """Which server and model grade, and how. The key is in the environment, never here."""

    neutral: ClassVar[frozenset[str]] = ServerJudgeConfig.neutral | {"api_key_env"}

    model: str = Field(min_length=1)
    """The model's name at that server."""
    base_url: str = "http://localhost:8000/v1"
    """Where `/chat/completions` is."""
    api_key_env: str | None = Field(None, pattern=r"^[A-Z][A-Z0-9_]*$")
    """The environment variable that holds the API key; None: no key is sent."""
    logprobs: bool = True
    """Ask for the probabilities of the digits; without them the score is a whole number."""
    min_digit_mass: float = Field(0.1, ge=0, le=1)
    """Abstain where the digits 1 to 5 together are less likely than this."""
    max_tokens: int = Field(8, ge=1)
    """Of one reply."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Further keys of the request; None takes a key out of it."""

    @field_validator("base_url")
    @classmethod
    def _address_alone(cls, url: str) -> str:
        return plain_address(url)

    @field_validator("extra_body")
    @classmethod
    def _no_keys(cls, body: dict[str, Any]) -> dict[str, Any]:
        check_no_keys(body, "extra_body")
        return body


def _build(config: OpenAICompatibleConfig) -> OpenAICompatibleJudge:
    from orality_judge_openai_compatible.judge import load_judge

    return load_judge(config)


def _is_local(config: OpenAICompatibleConfig) -> bool:
    from orality.judging import is_private

    return is_private(config.base_url)


@hookimpl
def orality_judges() -> Iterable[JudgeSpec[Any]]:
    """The `openai-compatible` judge."""
    yield JudgeSpec(
        name="openai-compatible",
        config=OpenAICompatibleConfig,
        build=_build,
        reads=frozenset({"text"}),
        scale=(1.0, 5.0),
        local=_is_local,
        batch_size=lambda config: max(20, 4 * config.concurrency),
    )

"""The judge: questions to Claude, one by one or in batches, through one cache and one budget."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

import anthropic
import httpx2
from pydantic import SecretStr

from orality import JudgeRequest, Verdict
from orality.judging import (
    Answer,
    Asking,
    Failure,
    Question,
    asking_for,
    bounded_client,
    check_url,
    is_private,
    load_rubric,
    question_of,
    read_key,
    score_requests,
)
from orality_judge_anthropic.batches import ask_in_batches
from orality_judge_anthropic.messages import ANSWER, Call, attempt, call_options, read_message
from orality_judge_anthropic.models import always_thinks, batch_factor, price_of

if TYPE_CHECKING:
    from orality_judge_anthropic import AnthropicConfig

_FRAME_TOKENS = 600  # what the API adds to a prompt: roles, the schema and how to keep to it


def load_judge(
    config: AnthropicConfig, *, sleep: Callable[[float], object] | None = None
) -> AnthropicJudge:
    """The judge with its client; JudgeError says what is missing. Nothing is sent yet."""
    key = read_key(config.api_key_env, judge="anthropic")
    if config.base_url is not None:
        check_url(config.base_url, with_key=True)
    url = config.base_url or os.environ.get("ANTHROPIC_BASE_URL") or "https://api.anthropic.com"
    client = anthropic.Anthropic(
        api_key=key.get_secret_value(),
        base_url=config.base_url,
        timeout=config.timeout,
        max_retries=0,
        http_client=_client(config, url),
    )
    check_url(str(client.base_url), with_key=True)
    always = always_thinks(config.model)
    call = Call(
        model=config.model,
        rubric=load_rubric(config.rubric, answer=ANSWER),
        max_tokens=config.max_tokens or (4096 if config.thinking or always else 64),
        options=call_options(thinks=config.thinking, always=always, effort=config.effort),
    )
    asking = asking_for(
        config,
        name="anthropic",
        model=config.model,
        price=price_of(config.model),
        secrets=[key],
        sleep=sleep,
    )
    return AnthropicJudge(
        client,
        key,
        call,
        asking,
        max_characters=config.max_characters,
        poll_seconds=config.poll_seconds if config.batch else None,
    )


def _client(config: AnthropicConfig, url: str) -> httpx2.Client:
    trust = not is_private(url)  # what is local must not leave through a proxy
    if not config.batch:
        return bounded_client(url, timeout=config.timeout, trust_env=trust)
    return bounded_client(  # the results of a batch come as one reply
        url, timeout=config.timeout, longest=3600.0, most_bytes=1 << 30, trust_env=trust
    )


class AnthropicJudge:
    """Claude's grades. `poll_seconds`: how often a batch is looked at; None: no batches.

    `metrics` of a verdict: `input_tokens` and `output_tokens` of the call.
    """

    def __init__(
        self,
        client: anthropic.Anthropic,
        key: SecretStr,
        call: Call,
        asking: Asking,
        *,
        max_characters: int = 4000,
        poll_seconds: float | None = None,
    ) -> None:
        self._client, self._key, self._call, self._asking = client, key, call, asking
        self._max_characters, self._poll_seconds = max_characters, poll_seconds

    def score(self, requests: Sequence[JudgeRequest]) -> list[Verdict]:
        """Grade each request from 1 to 5; see `orality.Judge`.

        JudgeError when the key, the account, the budget or the network stops all of them; what
        was paid for until then is kept.
        """
        return score_requests(requests, self._question, self._ask_all)

    def _question(self, request: JudgeRequest) -> Question:
        return question_of(
            request,
            rubric=self._call.rubric,
            max_characters=self._max_characters,
            max_tokens=self._call.max_tokens,
            frame_tokens=_FRAME_TOKENS,
            judge="anthropic/1",
            server=str(self._client.base_url),
            model=self._call.model,
            options=self._call.options,
        )

    def _ask_all(self, questions: Sequence[Question]) -> Mapping[str, Answer | Failure]:
        if self._poll_seconds is None:
            return self._asking.ask(questions, self._ask)
        return ask_in_batches(
            questions,
            client=self._client,
            key=self._key,
            call=self._call,
            asking=self._asking,
            poll_seconds=self._poll_seconds,
            factor=batch_factor(),
        )

    def _ask(self, question: Question) -> Answer | Failure:
        parameters = self._call.parameters(question)
        outcome = attempt(
            lambda: self._client.messages.create(**parameters),
            key=self._key,
            where=str(self._client.base_url),
        )
        return outcome if isinstance(outcome, Failure) else read_message(outcome)

    def __repr__(self) -> str:
        return f"AnthropicJudge(model={self._call.model!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a judge holds an API key and is never pickled: build it where it is used")

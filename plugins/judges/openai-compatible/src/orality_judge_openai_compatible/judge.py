"""The judge: questions to a server, several at a time, through one cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

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
from orality_judge_openai_compatible.completions import ANSWER, Call, post

if TYPE_CHECKING:
    from orality_judge_openai_compatible import OpenAICompatibleConfig

_FRAME_TOKENS = 200  # what a chat template adds to a message


def load_judge(
    config: OpenAICompatibleConfig, *, sleep: Callable[[float], object] | None = None
) -> OpenAICompatibleJudge:
    """The judge with its client; JudgeError says what is missing. Nothing is sent yet."""
    key = None
    if config.api_key_env is not None:
        key = read_key(config.api_key_env, judge="openai-compatible")
    url = check_url(config.base_url, with_key=key is not None)
    client = bounded_client(
        url,
        base_url=url,
        headers={} if key is None else {"Authorization": f"Bearer {key.get_secret_value()}"},
        timeout=config.timeout,
        trust_env=not is_private(url),  # what is local must not leave through a proxy
    )
    call = Call(
        model=config.model,
        rubric=load_rubric(config.rubric, answer=ANSWER),
        max_tokens=config.max_tokens,
        logprobs=config.logprobs,
        min_digit_mass=config.min_digit_mass,
        extra=config.extra_body,
    )
    asking = asking_for(
        config,
        name="openai-compatible",
        model=config.model,
        secrets=[] if key is None else [key],
        sleep=sleep,
    )
    return OpenAICompatibleJudge(client, key, call, asking, max_characters=config.max_characters)


class OpenAICompatibleJudge:
    """Grades as expectations over the digits, where the server tells their probabilities.

    `metrics` of a verdict: `digit`, the grade in the reply, and `digit_mass`, the probability that
    fell on the digits 1 to 5 at all.
    """

    def __init__(
        self,
        client: httpx2.Client,
        key: SecretStr | None,
        call: Call,
        asking: Asking,
        *,
        max_characters: int = 4000,
    ) -> None:
        self._client, self._key, self._call, self._asking = client, key, call, asking
        self._max_characters = max_characters

    def score(self, requests: Sequence[JudgeRequest]) -> list[Verdict]:
        """Grade each request from 1 to 5; see `orality.Judge`.

        JudgeError when the server, the key or the budget stops all of them; what was answered
        until then is kept.
        """
        return score_requests(requests, self._question, self._ask_all)

    def _question(self, request: JudgeRequest) -> Question:
        call = self._call
        return question_of(
            request,
            rubric=call.rubric,
            max_characters=self._max_characters,
            max_tokens=call.max_tokens,
            frame_tokens=_FRAME_TOKENS,
            judge="openai-compatible/1",
            server=str(self._client.base_url),
            model=call.model,
            logprobs=call.logprobs,
            min_digit_mass=call.min_digit_mass,
            extra=dict(call.extra),
        )

    def _ask_all(self, questions: Sequence[Question]) -> Mapping[str, Answer | Failure]:
        return self._asking.ask(questions, self._ask)

    def _ask(self, question: Question) -> Answer | Failure:
        reply = post(self._client, self._call.body(question), key=self._key)
        return reply if isinstance(reply, Failure) else self._call.read(reply, question.most)

    def __repr__(self) -> str:
        return f"OpenAICompatibleJudge(model={self._call.model!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a judge may hold an API key and is never pickled: build it where it is used"
        )

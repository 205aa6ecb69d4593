"""One judgement as a call of the chat completions API: what is sent, and what may come back."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
from pydantic import SecretStr

from orality.judging import (
    Answer,
    Failure,
    Question,
    Rubric,
    Then,
    Usage,
    failure_of_status,
    one_line,
    parse_rating,
    redact,
)
from orality_judge_openai_compatible.digits import digits_of

ANSWER = "the grade alone, a single digit from 1 to 5"


@dataclass(frozen=True, slots=True)
class Call:
    """What all calls share; `extra` goes into the request as it is."""

    model: str
    rubric: Rubric
    max_tokens: int = 8
    logprobs: bool = True
    min_digit_mass: float = 0.1
    extra: Mapping[str, Any] = field(default_factory=dict)

    def body(self, question: Question) -> dict[str, Any]:
        """The request, with a nonce of its own: transcripts are one line, as JSON.

        One user message, since not every chat template has a place for instructions.
        """
        nonce = secrets.token_hex(8)
        lines = (
            self.rubric.render(nonce=nonce, language=question.language),
            "",
            f"transcripts {nonce}",
            question.transcripts,
            f"end of transcripts {nonce}",
        )
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": "\n".join(lines)}],
            "max_tokens": self.max_tokens,
            "temperature": 0,
        }
        if self.logprobs:
            body |= {"logprobs": True, "top_logprobs": 20}
        body |= self.extra
        return {name: value for name, value in body.items() if value is not None}

    def read(self, reply: Any, most: Usage) -> Answer | Failure:
        """The score in a completion: its whole text must be a score, digits refine it.

        `most`: what counts as used where the server does not say.
        """
        try:
            choice = reply["choices"][0]
            text = choice["message"].get("content") or ""
            ended = choice.get("finish_reason")
        except (LookupError, TypeError, AttributeError):
            return unreadable("the server's answer is no completion")
        if not isinstance(text, str):
            return unreadable("the server's answer holds no text")
        usage = _usage(reply, most)
        if ended == "content_filter" or choice["message"].get("refusal"):
            return Answer(None, text, usage, "the server refused to judge this")
        if ended == "length" and "\n" not in text.strip(" "):
            return Answer(None, text, usage, "the reply was cut: raise max_tokens")  # of a 10, say
        rating = parse_rating(text)
        if rating is None:
            reason = f"the reply is no score: {one_line(text, longest=80) or 'it is empty'}"
            return Answer(None, text, usage, reason)
        digits = digits_of(choice.get("logprobs"), rating) if self.logprobs else None
        if digits is None:
            return Answer(float(rating), text, usage, metrics={"digit": float(rating)})
        metrics = {"digit": float(rating), "digit_mass": digits.mass}
        if digits.mass < self.min_digit_mass:
            reason = f"digits have a probability of {digits.mass:.3f}: the model did not understand"
            return Answer(None, text, usage, reason, metrics)
        return Answer(digits.expected, text, usage, metrics=metrics)


def _usage(reply: Any, most: Usage) -> Usage:
    usage = reply.get("usage")
    found = usage if isinstance(usage, Mapping) else {}
    read, written = found.get("prompt_tokens"), found.get("completion_tokens")
    if isinstance(read, int) and isinstance(written, int) and Usage(read, written).is_possible:
        return Usage(read, written)
    return most


def unreadable(reason: str) -> Failure:
    """An answer that came, and was perhaps paid for, but is of no use."""
    return Failure(reason, Then.ABSTAIN, retry=True, paid=True)


def post(client: httpx2.Client, body: dict[str, Any], *, key: SecretStr | None) -> Any | Failure:
    """The server's JSON, or what went wrong. `key` is struck out of every message."""
    where = str(client.base_url)
    try:
        response = client.post("chat/completions", json=body)
    except httpx2.TransportError as error:
        reason = f"{where} does not answer ({type(error).__name__}): is the server running?"
        if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.ProxyError):
            return Failure(reason, Then.STOP, retry=True)
        return Failure(reason, Then.ABSTAIN, retry=True, paid=True)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return unreadable(f"the server's answer cannot be read ({type(error).__name__})")
    if response.status_code != 200:
        message, code = _message(response)
        return failure_of_status(
            response.status_code, redact(message, key), response.headers, code=code
        )
    try:
        return response.json()
    except (ValueError, RecursionError):
        return unreadable("the server's answer is cut or no JSON")


def _message(response: httpx2.Response) -> tuple[str, str]:
    """A server's words on an error, `error.message` or the start of what it sent; its code."""
    try:
        error = response.json()["error"]
        if isinstance(error, Mapping):
            return str(error["message"]), f"{error.get('code')} {error.get('type')}"
        return str(error), ""
    except (ValueError, LookupError, TypeError, RecursionError):
        return response.text[:1000], ""

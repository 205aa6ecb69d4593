"""One judgement as a call of the Messages API: what is sent, and what may come back."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import anthropic
import httpx2
from anthropic.types import Message
from pydantic import SecretStr

from orality.judging import (
    SCORE_SCHEMA,
    Answer,
    Failure,
    Question,
    Rubric,
    Then,
    Usage,
    failure_of_status,
    one_line,
    parse_score_object,
    redact,
)

T = TypeVar("T")

ANSWER = 'a JSON object such as {"score": 3}, with a whole number from 1 to 5'

# Not of the item: no other request of this account would fare better.
_FINAL_CODES = ("spend_limit_reached", "organization", "cmek", "claude_code", "sandbox")


@dataclass(frozen=True, slots=True)
class Call:
    """What all calls share; `options` go into the request as they are."""

    model: str
    rubric: Rubric
    max_tokens: int
    options: dict[str, Any]

    def parameters(self, question: Question) -> dict[str, Any]:
        """The request, with a nonce of its own: transcripts lie in one block, as JSON."""
        nonce = secrets.token_hex(8)
        texts = (f"transcripts {nonce}", question.transcripts, f"end of transcripts {nonce}")
        return {
            "model": self.model,
            "max_tokens": self.max_tokens,
            "system": self.rubric.render(nonce=nonce, language=question.language),
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}
            ],
            **self.options,
        }


def call_options(*, thinks: bool, always: bool, effort: str | None) -> dict[str, Any]:
    """The answer's form, and how much is thought before it."""
    config: dict[str, Any] = {"format": {"type": "json_schema", "schema": SCORE_SCHEMA}}
    if effort is not None:
        config["effort"] = effort
    options: dict[str, Any] = {"output_config": config}
    if not always:
        options["thinking"] = {"type": "adaptive" if thinks else "disabled"}
    return options


def read_message(message: object) -> Answer | Failure:
    """The score in a message: its only text block must be the object that was asked for."""
    used = _usage(message)
    if not isinstance(message, Message) or used is None:
        return unreadable("the server's answer is no message")
    texts = [block.text for block in message.content or [] if block.type == "text"]
    reply = "".join(texts)
    metrics = {"input_tokens": float(used.input_tokens), "output_tokens": float(used.output_tokens)}
    score = parse_score_object(reply) if len(texts) == 1 else None
    reason = ""
    if message.stop_reason != "end_turn":
        score, reason = None, _stopped(message.stop_reason)
    elif score is None:
        reason = f"the reply is no score: {one_line(reply, longest=80)}"
    return Answer(None if score is None else float(score), reply, used, reason, metrics)


def _usage(message: object) -> Usage | None:
    usage = getattr(message, "usage", None)
    names = ("input_tokens", "output_tokens")
    cached = ("cache_read_input_tokens", "cache_creation_input_tokens")
    counts = [getattr(usage, name, None) for name in names]
    counts += [getattr(usage, name, None) or 0 for name in cached]
    known = [count for count in counts if isinstance(count, int) and count >= 0]
    if len(known) < 4:
        return None
    used = Usage(known[0] + known[2] + known[3], known[1])
    return used if used.is_possible else None


def _stopped(why: str | None) -> str:
    if why == "refusal":
        return "the model refused to judge this"
    if why == "max_tokens":
        return "the reply was cut: raise max_tokens"
    return f"the reply ended early ({one_line(why)})"


def unreadable(reason: str) -> Failure:
    """An answer that came, and was perhaps paid for, but is of no use."""
    return Failure(reason, Then.ABSTAIN, retry=True, paid=True)


def attempt(call: Callable[[], T], *, key: SecretStr, where: str) -> T | Failure:
    """The call's value, or what its exception means. `key` is struck out of every message."""
    try:
        return call()
    except anthropic.APIStatusError as error:
        message = redact(f"{error.type or ''} {error.api_message or error.message}", key)
        code = error.error_code or ""
        about_the_account = any(part in code for part in _FINAL_CODES)
        return failure_of_status(
            error.status_code, message, error.response.headers, final=about_the_account
        )
    except (anthropic.APIConnectionError, httpx2.TransportError) as error:
        cause = error.__cause__ or error
        reason = f"{where} does not answer ({type(cause).__name__}): check the network"
        if isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.ProxyError):
            return Failure(reason, Then.STOP, retry=True)
        return Failure(reason, Then.ABSTAIN, retry=True, paid=True)
    except (anthropic.APIResponseValidationError, ValueError) as error:
        return unreadable(f"the server's answer cannot be read ({type(error).__name__})")
    except anthropic.AnthropicError as error:
        return Failure(redact(one_line(error), key), Then.STOP)

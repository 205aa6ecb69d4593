"""What a call to a judge's server came to: an answer that was paid for, or some kind of failure."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, as the server counts them."""

    input_tokens: int
    output_tokens: int

    @property
    def is_possible(self) -> bool:
        """Whether a single call can have used so much."""
        return (
            max(self.input_tokens, self.output_tokens) < 10**8
            and min(self.input_tokens, self.output_tokens) >= 0
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply that arrived. `score` None: it holds none, and `reason` says why.

    `metrics` become the verdict's, and so do `dollars`: what it cost when it was paid for, however
    often and wherever it is used again.
    """

    score: float | None
    reply: str
    usage: Usage
    reason: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    dollars: float = 0.0


class Then(Enum):
    """What becomes of a question that has failed."""

    ABSTAIN = "the judge abstains on this item"
    STOP = "the run stops"


@dataclass(frozen=True, slots=True)
class Failure:
    """A call without an answer.

    `retry`: ask again, after `after` seconds where the server says so. `then`: what is done when it
    is not, or no longer, asked again. `paid`: an answer was perhaps made and billed, and is lost.
    `status`: of HTTP, where there was one.
    """

    reason: str
    then: Then
    retry: bool = False
    after: float | None = None
    paid: bool = False
    status: int | None = None


# Of the item, perhaps: the next one may fare better. All else that is worth another try is the
# state of the server, which would lose every item.
_ABOUT_THE_ITEM = {400, 408, 409, 413, 422, 500}
_UNPAID = ("insufficient_quota", "billing_hard_limit", "billing_not_active", "account_deactivated",
           "insufficient_balance", "credit balance is too low")  # fmt: skip
_ADVICE = {
    401: "the API key is missing or refused: check the environment variable that holds it",
    402: "the account cannot pay: check its billing",
    403: "the API key may not do this: check its permissions and the model's name",
    404: "there is no such model or address: check `model` and `base_url`",
    429: "the rate limit stays exhausted: lower `concurrency`, or run the same command later",
}


def failure_of_status(
    status: int, message: str, headers: Mapping[str, str], *, code: str = "", final: bool = False
) -> Failure:
    """Judge an HTTP status that is no success.

    `code`: the server's own name of the error; an account without money is not a rate limit.
    Tried again: 408, 409, 425, 429 and 500 and above, unless `final` or the header x-should-retry
    says no. Else 400, 413 and 422 are the item's fault, and everything else stops the run.
    """
    unpaid = any(name in code or name in message for name in _UNPAID)
    final = final or unpaid
    retry = (status in {408, 409, 425, 429} or status >= 500) and not final
    retry = retry and headers.get("x-should-retry", "").lower() != "false"
    reason = f"the server answers {status}: {one_line(message)}"
    then = Then.ABSTAIN if status in _ABOUT_THE_ITEM and not final else Then.STOP
    if then is Then.STOP:
        advice = _ADVICE[402] if unpaid else _ADVICE.get(status) if not final else None
        if advice is None:
            advice = "what was judged is kept: run the same command again once this is solved"
        reason += f"; {advice}"
    return Failure(reason, then, retry=retry, after=retry_after(headers), status=status)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from now, by the headers retry-after-ms or retry-after (seconds or a date)."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) * unit
        except ValueError:
            try:
                date = email.utils.parsedate_tz(value)
                seconds = -1.0 if date is None else email.utils.mktime_tz(date) - time.time()
            except (ValueError, OverflowError, TypeError):
                continue
        if 0 <= seconds < 1e9:
            return seconds
    return None


def one_line(text: Any, *, longest: int = 300) -> str:
    """Foreign text, fit for a message: one line, printable, not long."""
    words = " ".join(str(text).split())
    printable = "".join(sign if sign.isprintable() else "?" for sign in words)
    return printable if len(printable) <= longest else printable[:longest] + " ..."

"""Putting questions to a server: from the cache if possible, several at a time, with patience."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from pydantic import SecretStr

from orality.errors import JudgeError
from orality.judging.addresses import redact_all
from orality.judging.answers import Answer, Failure, Then, Usage
from orality.judging.budget import FREE, Budget, Price
from orality.judging.cache import AnswerCache, question_key
from orality.judging.rubric import Rubric, encode_transcripts
from orality.specs import ServerJudgeConfig
from orality.types import JudgeRequest

T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to judge. `key`: see `question_key`. `transcripts`: see `encode_transcripts`.

    `most`: an upper bound of the tokens that one call takes.
    """

    key: str
    transcripts: str
    language: str
    most: Usage


def question_of(
    request: JudgeRequest,
    *,
    rubric: Rubric,
    max_characters: int,
    max_tokens: int,
    frame_tokens: int,
    **identity: Any,
) -> Question:
    """What a request asks. `max_tokens`: of the answer; `frame_tokens`: what the server adds to a
    prompt; `identity`: what else determines the answer, the judge and its model first of all."""
    transcripts = encode_transcripts(
        request.prompt_text or "", request.continuation_text or "", max_characters=max_characters
    )
    key = question_key(
        max_tokens=max_tokens,
        rubric=[rubric.text, rubric.answer],
        transcripts=transcripts,
        language=request.language,
        **identity,
    )
    # A token is at least one byte, so bytes bound the tokens.
    sent = rubric.render(nonce="0" * 16, language=request.language) + transcripts
    most = Usage(len(sent.encode()) + frame_tokens, max_tokens)
    return Question(key, transcripts, request.language, most)


@dataclass(kw_only=True)
class Asking:
    """How questions are put. `sleep` and `random` are for tests.

    A call that fails in a way worth another try is made `attempts` times in all, with pauses that
    double from `pause` to a minute, or as long as the server says, up to `max_wait` seconds. After
    `max_failures` items in a row without a score the run stops, since no item is to blame then,
    whether nothing was answered or nothing that can be read. `secrets` are struck out of all that a
    server says, before it is kept or shown.
    """

    name: str
    cache: AnswerCache
    budget: Budget
    price: Price | None = None
    concurrency: int = 8
    attempts: int = 6
    pause: float = 1.0
    max_wait: float = 300.0
    max_failures: int = 10
    sleep: Callable[[float], object] | None = None
    random: Callable[[], float] = random.random
    secrets: Sequence[SecretStr] = ()
    _in_a_row: int = field(default=0, init=False)
    _counting: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)
    _announced: bool = field(default=False, init=False)

    def ask(
        self, questions: Sequence[Question], call: Callable[[Question], Answer | Failure]
    ) -> dict[str, Answer | Failure]:
        """What each question came to, by key; JudgeError when the run must stop.

        Every answer is in the cache before this returns or raises.
        """
        outcomes: dict[str, Answer | Failure] = dict(self.cache.find(q.key for q in questions))
        missing = list({q.key: q for q in questions if q.key not in outcomes}.values())
        if not missing:
            return outcomes
        self.announce(missing, cached=len(outcomes))
        stop = threading.Event()
        with ThreadPoolExecutor(self.concurrency, thread_name_prefix="judge") as pool:
            futures = {pool.submit(self._one, q, call, stop): q.key for q in missing}
            try:
                for future in as_completed(futures):
                    outcomes[futures[future]] = future.result()
            except BaseException:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return outcomes

    def announce(self, questions: Sequence[Question], *, cached: int, factor: float = 1.0) -> None:
        """Log what the questions will cost, before any is asked."""
        count = f"judge {self.name!r}: {len(questions)} to ask, {cached} known"
        if self.price is not None:
            price = self.price.times(factor)
            most = sum(price.of(q.most) for q in questions)
            # a token is three bytes or more of most texts, and the answer is short
            likely = sum(price.of(_likely(q.most)) for q in questions)
            count += f"; about ${likely:.4f}, at most ${most:.4f}, spent ${self.cache.spent:.4f}"
        logger.log(logging.DEBUG if self._announced else logging.INFO, count)
        self._announced = True

    def counted(self, outcome: Answer | Failure) -> Answer | Failure:
        """The same outcome; JudgeError when too many items in a row had no score."""
        useful = isinstance(outcome, Answer) and outcome.score is not None
        with self._counting:
            self._in_a_row = 0 if useful else self._in_a_row + 1
            in_a_row = self._in_a_row
        if useful:
            return outcome
        logger.warning("judge %r abstains on an item: %s", self.name, outcome.reason)
        if in_a_row >= self.max_failures:
            raise JudgeError(
                f"judge {self.name!r} failed on {in_a_row} items in a row, the last time "
                f"since {outcome.reason}; {self._cost()}what was judged is kept: check the "
                "configuration, or raise max_failures"
            )
        return outcome

    def _cost(self) -> str:
        return f"${self.cache.spent:.4f} were spent in all; " if self.price is not None else ""

    def scrubbed(self, outcome: Answer | Failure) -> Answer | Failure:
        """The same outcome without any of the secrets."""
        reason = redact_all(outcome.reason, self.secrets)
        if isinstance(outcome, Answer):
            return replace(outcome, reason=reason, reply=redact_all(outcome.reply, self.secrets))
        return replace(outcome, reason=reason)

    def _one(
        self,
        question: Question,
        call: Callable[[Question], Answer | Failure],
        stop: threading.Event,
    ) -> Answer | Failure:
        sleep = stop.wait if self.sleep is None else self.sleep
        try:
            outcome = self.patiently(lambda: self._paid(question, call, stop), sleep, stop=stop)
            # Counted here, before the next question is put: whoever gathers outcomes may lag.
            return outcome if stop.is_set() else self.counted(outcome)
        except BaseException:
            stop.set()
            raise

    def patiently(
        self,
        call: Callable[[], T | Failure],
        sleep: Callable[[float], object],
        *,
        stop: threading.Event | None = None,
    ) -> T | Failure:
        """Make a call until it is answered, or in vain; JudgeError when that stops the run."""
        attempt = 0
        while True:
            attempt += 1
            outcome = call()
            if not isinstance(outcome, Failure):
                return outcome
            if outcome.retry and (outcome.after or 0.0) > self.max_wait:
                raise JudgeError(
                    f"judge {self.name!r} would have to wait {outcome.after:.0f} s, since "
                    f"{outcome.reason}; what was judged is kept: run the same command later"
                )
            if not outcome.retry or attempt >= self.attempts or (stop and stop.is_set()):
                return self._in_vain(outcome, attempt)
            sleep(self._pause(attempt, outcome.after))

    def _in_vain(self, failure: Failure, attempts: int) -> Failure:
        if failure.then is Then.STOP:
            tried = f" (tried {attempts} times)" if attempts > 1 else ""
            raise JudgeError(f"judge {self.name!r} cannot go on: {failure.reason}{tried}")
        return failure

    def _pause(self, attempt: int, after: float | None) -> float:
        """Seconds, spread so that calls which failed together do not return together."""
        if after is not None:
            return after + min(after, 1.0) * 0.25 * self.random()
        return min(60.0, self.pause * 2.0 ** (attempt - 1)) * (0.75 + 0.5 * self.random())

    def _paid(
        self,
        question: Question,
        call: Callable[[Question], Answer | Failure],
        stop: threading.Event,
    ) -> Answer | Failure:
        price = self.price or FREE
        most = price.of(question.most)
        self.budget.promise(most)
        try:
            if stop.is_set():
                return Failure("the run stops", Then.ABSTAIN)
            outcome = self.scrubbed(call(question))
            if isinstance(outcome, Answer):
                return self.cache.add(question.key, outcome, price.of(outcome.usage))
            if outcome.paid:
                self.cache.add_lost(most)
            return outcome
        finally:
            self.budget.release(most)


def _likely(most: Usage) -> Usage:
    return Usage(most.input_tokens // 3, min(most.output_tokens, 20))


def asking_for(
    config: ServerJudgeConfig,
    *,
    name: str,
    model: str,
    price: Price | None = None,
    secrets: Sequence[SecretStr] = (),
    sleep: Callable[[float], object] | None = None,
) -> Asking:
    """How a configured judge asks; `price`: what is known of the model; `secrets`: its keys.

    JudgeError when there is a `max_cost` and no price, or when the cache cannot be used.
    """
    if config.price is not None:
        price = Price(config.price.input, config.price.output)
    if config.max_cost is not None and price is None:
        raise JudgeError(
            f"max_cost is set, but nothing is known of the price of model {model!r}: give it as "
            "price: {input: ..., output: ...}, in dollars per million tokens"
        )
    cache = AnswerCache(config.cache, name=name)
    return Asking(
        name=name,
        cache=cache,
        budget=Budget(config.max_cost, lambda: cache.spent, f" or set `cache` ({cache.path}) anew"),
        price=price,
        concurrency=config.concurrency,
        attempts=config.attempts,
        max_failures=config.max_failures,
        secrets=secrets,
        sleep=sleep,
    )

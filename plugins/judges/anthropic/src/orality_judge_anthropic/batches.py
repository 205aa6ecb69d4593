"""Judgements by Message Batches: submit, look now and then, collect; resume after a kill."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anthropic
from anthropic.types.messages import MessageBatch
from pydantic import SecretStr

from orality import JudgeError
from orality.judging import Answer, Asking, Failure, Price, Question, Then, one_line, redact
from orality_judge_anthropic.messages import Call, attempt, read_message, unreadable

T = TypeVar("T")

logger = logging.getLogger(__name__)

MAX_REQUESTS, MAX_BYTES = 100_000, 200 * 2**20  # of one batch; the API takes 256 MB
_LONGEST_WAIT = 26 * 3600.0  # a batch expires after 24 hours

# Errors of a single result that no other attempt would mend.
_ITEM_ERRORS = {"invalid_request_error"}
_FINAL_ERRORS = {"authentication_error", "billing_error", "permission_error", "not_found_error"}


def ask_in_batches(
    questions: Sequence[Question],
    *,
    client: anthropic.Anthropic,
    key: SecretStr,
    call: Call,
    asking: Asking,
    poll_seconds: float,
    factor: float,
) -> Mapping[str, Answer | Failure]:
    """What each question came to, by key, as `Asking.ask` gives it.

    `factor`: what a batch costs, as a share of the same calls one by one. Requests that errored or
    expired are submitted again, `asking.attempts` times in all.
    """
    work = _Batches(client, key, call, asking, poll_seconds, factor)
    by_key = {question.key: question for question in questions}
    outcomes: dict[str, Answer | Failure] = dict(asking.cache.find(by_key))
    for batch, keys in asking.cache.batches().items():
        if any(name in by_key and name not in outcomes for name in keys):
            outcomes |= work.resume(batch, [by_key[name] for name in keys if name in by_key])
    tries = dict.fromkeys(by_key, 0)
    missing = [question for name, question in by_key.items() if name not in outcomes]
    if missing:
        asking.announce(missing, cached=len(outcomes), factor=factor)
    while missing:
        part = work.fitting(missing)
        outcomes |= work.submit(part)
        for question in part:
            tries[question.key] += 1
            if question.key not in outcomes and tries[question.key] >= asking.attempts:
                outcomes[question.key] = Failure(
                    f"it failed or expired in {asking.attempts} batches", Then.ABSTAIN
                )
        missing = [question for question in missing if question.key not in outcomes]
    return {name: asking.counted(outcomes[name]) for name in by_key}


@dataclass
class _Results:
    """What was read of one batch; `final`: why no other request would fare better."""

    outcomes: dict[str, Answer | Failure] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    canceled: int = 0
    final: str = ""


class _Batches:
    """One batch after the other; all it knows of a batch under way is in the cache."""

    def __init__(
        self,
        client: anthropic.Anthropic,
        key: SecretStr,
        call: Call,
        asking: Asking,
        poll_seconds: float,
        factor: float,
    ) -> None:
        self._client, self._key, self._call, self._asking = client, key, call, asking
        self._poll_seconds = poll_seconds
        self._price = (asking.price or Price(0.0, 0.0)).times(factor)
        self._sleep = time.sleep if asking.sleep is None else asking.sleep

    def fitting(self, questions: Sequence[Question]) -> list[Question]:
        """As many of the questions as one batch and the budget hold, but one at least."""
        part: list[Question] = []
        size, dollars, left = 0, 0.0, self._asking.budget.left
        for question in questions[:MAX_REQUESTS]:
            # the request is little longer than what bounds its tokens
            size += question.most.input_tokens + 1000
            dollars += self._price.of(question.most)
            if part and (size > MAX_BYTES or dollars > left):
                break
            part.append(question)
        return part

    def submit(self, questions: Sequence[Question]) -> dict[str, Answer | Failure]:
        """Submit a batch and wait for what becomes of it; who errored or expired is left out."""
        most, budget = self._most(questions), self._asking.budget
        requests = [
            {"custom_id": question.key, "params": self._call.parameters(question)}
            for question in questions
        ]

        def create() -> MessageBatch | Failure:
            budget.promise(most)
            made: MessageBatch | Failure | None = None
            try:
                made = self._batch(
                    lambda: self._client.messages.batches.create(requests=requests)  # type: ignore[arg-type]
                )
                if isinstance(made, Failure) and made.paid:
                    self._asking.cache.add_lost(most)
            finally:
                if not isinstance(made, MessageBatch):
                    budget.release(most)
            return made

        batch = self._patiently(create)
        try:
            self._asking.cache.add_batch(batch.id, [question.key for question in questions])
            logger.info("batch %s holds %d judgements", batch.id, len(questions))
            return self._collect(batch.id)
        finally:
            budget.release(most)

    def resume(self, batch: str, questions: Sequence[Question]) -> dict[str, Answer | Failure]:
        """Wait for a batch that an earlier run submitted; nothing when the server forgot it."""
        found = self._batch(lambda: self._client.messages.batches.retrieve(batch))
        if isinstance(found, Failure) and found.status == 404:
            logger.warning("batch %s is gone; its judgements are submitted again", batch)
            self._asking.cache.drop_batch(batch)
            return {}
        logger.info("batch %s was submitted before; waiting for it", batch)
        most = self._most(questions)
        self._asking.budget.promise(most, anyway=True)
        try:
            return self._collect(batch)
        finally:
            self._asking.budget.release(most)

    def _most(self, questions: Sequence[Question]) -> float:
        return sum(self._price.of(question.most) for question in questions)

    def _collect(self, batch: str) -> dict[str, Answer | Failure]:
        self._wait(batch)
        results = _Results()

        def read() -> bool | Failure:
            # a stream that broke off is read again; what was seen is not paid twice
            return self._attempt(lambda: self._read(batch, results))

        self._patiently(read)
        self._asking.cache.drop_batch(batch)
        if results.final:
            raise JudgeError(f"judge {self._asking.name!r} cannot go on: {results.final}")
        if results.canceled:
            raise JudgeError(
                f"batch {batch} was canceled with {results.canceled} judgements unanswered; what "
                "was answered is kept: run the same command again to submit the rest"
            )
        return results.outcomes

    def _wait(self, batch: str) -> None:
        waited = 0.0
        while True:
            found = self._patiently(
                lambda: self._batch(lambda: self._client.messages.batches.retrieve(batch))
            )
            if found.processing_status == "ended":
                return
            if waited > _LONGEST_WAIT:
                raise JudgeError(
                    f"batch {batch} has not ended after {waited / 3600:.0f} hours; run the same "
                    "command later: it is not submitted twice"
                )
            self._sleep(self._poll_seconds)
            waited += self._poll_seconds

    def _read(self, batch: str, results: _Results) -> bool:
        """Every result of a batch, in whatever order it comes."""
        for row in self._client.messages.batches.results(batch):
            name, result = getattr(row, "custom_id", None), getattr(row, "result", None)
            if not isinstance(name, str) or not isinstance(getattr(result, "type", None), str):
                raise ValueError("a result without custom_id or type")
            if name not in results.seen:
                self._note(name, result, results)
                results.seen.add(name)
        return True

    def _note(self, name: str, result: Any, results: _Results) -> None:
        """What is noted nowhere is to be submitted again."""
        known = self._asking.cache.find([name])
        if known:
            results.outcomes[name] = known[name]
        elif result.type == "succeeded":
            answer = self._asking.scrubbed(read_message(getattr(result, "message", None)))
            if isinstance(answer, Answer):
                results.outcomes[name] = self._asking.cache.add(
                    name, answer, self._price.of(answer.usage)
                )
        elif result.type == "canceled":
            results.canceled += 1
        elif result.type == "errored":
            error = getattr(getattr(result, "error", None), "error", None)
            kind, text = getattr(error, "type", ""), getattr(error, "message", "")
            reason = redact(f"the batch answers {one_line(kind)}: {one_line(text)}", self._key)
            if kind in _FINAL_ERRORS:
                results.final = reason
            elif kind in _ITEM_ERRORS:
                results.outcomes[name] = Failure(reason, Then.ABSTAIN)

    def _batch(self, call: Callable[[], MessageBatch]) -> MessageBatch | Failure:
        """A call that gives a batch; the client itself checks no answer's shape."""
        found: object = self._attempt(call)
        if isinstance(found, Failure):
            return found
        names = ("id", "processing_status")
        if isinstance(found, MessageBatch) and all(getattr(found, name, None) for name in names):
            return found
        return unreadable("the server's answer is no batch")

    def _attempt(self, call: Callable[[], T]) -> T | Failure:
        return attempt(call, key=self._key, where=str(self._client.base_url))

    def _patiently(self, call: Callable[[], T | Failure]) -> T:
        """The call's value; no batch, no judgements, so the run stops where it cannot be had."""
        found = self._asking.patiently(call, self._sleep)
        if isinstance(found, Failure):
            raise JudgeError(f"judge {self._asking.name!r} cannot go on: {found.reason}")
        return found

"""From requests to questions, and from their answers to verdicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from orality.judging.answers import Answer, Failure
from orality.judging.asking import Question
from orality.judging.replies import SCORES
from orality.types import JudgeRequest, Verdict

AskAll = Callable[[Sequence[Question]], Mapping[str, Answer | Failure]]


def score_requests(
    requests: Sequence[JudgeRequest],
    question_of: Callable[[JudgeRequest], Question],
    ask: AskAll,
) -> list[Verdict]:
    """One verdict per request, in order; equal questions are asked once.

    A missing text is no verdict; a continuation in which nothing was heard gets the lowest score
    without a question. Where the price is known, a verdict has the `dollars` that its answer
    cost when it was paid for: equal questions show them each, and were paid for once.
    """
    verdicts: dict[int, Verdict] = {}
    questions: dict[int, Question] = {}
    for index, request in enumerate(requests):
        if request.prompt_text is None or request.continuation_text is None:
            which = "prompt" if request.prompt_text is None else "continuation"
            verdicts[index] = Verdict(None, rationale=f"no {which} text")
        elif not request.continuation_text.strip():
            verdicts[index] = Verdict(float(SCORES[0]), rationale="no speech")
        else:
            questions[index] = question_of(request)
    outcomes = ask(list(questions.values())) if questions else {}
    for index, question in questions.items():
        verdicts[index] = _verdict(outcomes[question.key])
    return [verdicts[index] for index in range(len(requests))]


def _verdict(outcome: Answer | Failure) -> Verdict:
    if isinstance(outcome, Failure):
        return Verdict(None, rationale=outcome.reason)
    return Verdict(
        outcome.score,
        rationale=outcome.reason,
        metrics=outcome.metrics,
        dollars=outcome.dollars or None,
    )

"""For plugins whose judge is a server: rubric, replies, answers on disk, budget, retries."""

from __future__ import annotations

from orality.judging.addresses import (
    check_no_keys,
    check_url,
    is_private,
    plain_address,
    read_key,
    redact,
)
from orality.judging.answers import (
    Answer,
    Failure,
    Then,
    Usage,
    failure_of_status,
    one_line,
    retry_after,
)
from orality.judging.asking import Asking, Question, asking_for, question_of
from orality.judging.budget import Budget, Price
from orality.judging.cache import AnswerCache, question_key
from orality.judging.replies import SCORE_SCHEMA, SCORES, parse_rating, parse_score_object
from orality.judging.rubric import Rubric, encode_transcripts, load_rubric
from orality.judging.transport import bounded_client
from orality.judging.verdicts import score_requests

__all__ = [
    "SCORES",
    "SCORE_SCHEMA",
    "Answer",
    "AnswerCache",
    "Asking",
    "Budget",
    "Failure",
    "Price",
    "Question",
    "Rubric",
    "Then",
    "Usage",
    "asking_for",
    "bounded_client",
    "check_no_keys",
    "check_url",
    "encode_transcripts",
    "failure_of_status",
    "is_private",
    "load_rubric",
    "one_line",
    "parse_rating",
    "parse_score_object",
    "plain_address",
    "question_key",
    "question_of",
    "read_key",
    "redact",
    "retry_after",
    "score_requests",
]

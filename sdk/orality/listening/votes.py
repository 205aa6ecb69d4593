"""Answers by rater and trial, and which of them only check attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orality.listening.key import Key
from orality.listening.responses import Session

Votes = Mapping[str, Mapping[str, int | str]]  # by rater, by trial
LOW = 2  # the highest rating that passes a check


def collect_votes(sessions: Sequence[Session]) -> tuple[dict[str, dict[str, int | str]], int]:
    """Each rater's first answer to every trial, and how many further ones there were."""
    votes: dict[str, dict[str, int | str]] = {}
    repeated = 0
    for session in sessions:
        given = votes.setdefault(session.rater, {})
        for answer in session.answers:
            repeated += answer.trial in given
            given.setdefault(answer.trial, answer.value)
    return votes, repeated


def failed_checks(key: Key, given: Mapping[str, int | str]) -> int:
    """How many checks a rater failed: speech played backwards was rated above 2, or preferred."""
    failed = 0
    for name, value in given.items():
        trial = key.trials[name]
        if trial.backwards is None:
            continue
        failed += value > LOW if isinstance(value, int) else value != trial.samples[0].clip
    return failed


def real_answers(key: Key, given: Mapping[str, int | str]) -> dict[str, int | str]:
    """A rater's answers without those to checks."""
    return {name: value for name, value in given.items() if not key.trials[name].check}

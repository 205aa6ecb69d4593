"""Listening tests: people rate what systems said, blind, and their answers are analyzed."""

from __future__ import annotations

from orality.listening.analysis import Analysis, analyze_answers
from orality.listening.design import Design, Trial, design_test, rater_order
from orality.listening.key import Key, read_key
from orality.listening.make import analyze_listening_test, make_listening_test
from orality.listening.responses import Answer, Session, read_responses
from orality.listening.samples import Sample, samples_of_folder, samples_of_run

__all__ = [
    "Analysis",
    "Answer",
    "Design",
    "Key",
    "Sample",
    "Session",
    "Trial",
    "analyze_answers",
    "analyze_listening_test",
    "design_test",
    "make_listening_test",
    "rater_order",
    "read_key",
    "read_responses",
    "samples_of_folder",
    "samples_of_run",
]

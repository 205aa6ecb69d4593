"""From prompts to preference pairs: sample, synthesize, transcribe, judge, select."""

from __future__ import annotations

from orality.feedback.auto_bleu import auto_bleu
from orality.feedback.pairs import (
    Judging,
    Round,
    groups_of,
    make_pairs,
)
from orality.feedback.preferences import Selection, read_pairs
from orality.feedback.prompts import Chunk, Prompts, collect_prompts, cut_chunk, median_pace
from orality.feedback.reselecting import reselect
from orality.feedback.select import select_pair
from orality.feedback.word_times import CutRule

__all__ = [
    "Chunk",
    "CutRule",
    "Judging",
    "Prompts",
    "Round",
    "Selection",
    "auto_bleu",
    "collect_prompts",
    "cut_chunk",
    "groups_of",
    "make_pairs",
    "median_pace",
    "read_pairs",
    "reselect",
    "select_pair",
]

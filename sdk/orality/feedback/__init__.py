"""From prompts to preference pairs: sample, synthesize, transcribe, judge, select."""

from __future__ import annotations

from orality.feedback.auto_bleu import auto_bleu
from orality.feedback.configured_judge import ConfiguredJudge
from orality.feedback.pairs import Round, groups_of, make_pairs
from orality.feedback.preferences import Selection, read_pairs
from orality.feedback.prompts import Chunk, Prompts, collect_prompts, cut_chunk, median_pace
from orality.feedback.reselecting import (
    StoredSelection,
    note_selection,
    read_selection,
    reselect,
    resolve,
)
from orality.feedback.select import Pair, select_pairs
from orality.feedback.thresholds import SelectionRule
from orality.feedback.word_times import CutRule

__all__ = [
    "Chunk",
    "ConfiguredJudge",
    "CutRule",
    "Pair",
    "Prompts",
    "Round",
    "Selection",
    "SelectionRule",
    "StoredSelection",
    "auto_bleu",
    "collect_prompts",
    "cut_chunk",
    "groups_of",
    "make_pairs",
    "median_pace",
    "note_selection",
    "read_pairs",
    "read_selection",
    "reselect",
    "resolve",
    "select_pairs",
]

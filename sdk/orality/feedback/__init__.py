"""From prompts to preference pairs: sample, synthesize, transcribe, judge, select."""

from orality.feedback.auto_bleu import auto_bleu
from orality.feedback.pairs import PairOptions, make_pairs, read_pairs, select_pairs
from orality.feedback.prompts import make_prompts
from orality.feedback.select import select_pair

__all__ = [
    "PairOptions",
    "auto_bleu",
    "make_pairs",
    "make_prompts",
    "read_pairs",
    "select_pair",
    "select_pairs",
]

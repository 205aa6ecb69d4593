"""Speech in: recordings, what was said when, and where a prompt ends."""

from orality.corpus.cut import cut_at_pause, cut_at_word
from orality.corpus.manifest import Utterance, load_corpus

__all__ = ["Utterance", "cut_at_pause", "cut_at_word", "load_corpus"]

"""Speech in: recordings, what was said when, and where a prompt ends."""

from orality.corpus.collection import Corpus
from orality.corpus.cut import cut_at_pause, cut_at_word, cut_sample
from orality.corpus.loading import corpus_of, load_corpus
from orality.corpus.utterance import Utterance

__all__ = [
    "Corpus",
    "Utterance",
    "corpus_of",
    "cut_at_pause",
    "cut_at_word",
    "cut_sample",
    "load_corpus",
]

"""Word and character error rates, with the normalizer named in the result."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jiwer

from orality.errors import EvaluationError

NORMALIZER = "orality-english"
_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "`": "'"})


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """Errors against reference length.

    `micro`: all errors over all reference tokens (the corpus-level figure). `mean`: the mean of
    the utterances' own rates, over those whose reference is not empty. Both may exceed 1.
    `n_empty_references` utterances count in `micro` (whatever was heard is an insertion), not in
    `mean`; `n_empty_hypotheses`: where nothing was heard.
    """

    micro: float
    mean: float
    errors: int
    tokens: int
    n: int
    n_empty_references: int
    n_empty_hypotheses: int
    normalizer: str = NORMALIZER


def normalize_english(text: str) -> str:
    """Lower case, compatibility forms unified, hyphens and dashes to spaces, other marks removed.

    Apostrophes inside words stay ("don't"). Numbers and abbreviations are left as written: a
    transcriber that writes "5" for "five" pays for it.
    """
    text = unicodedata.normalize("NFKC", text).casefold().translate(_APOSTROPHES)
    text = "".join(" " if unicodedata.category(c) == "Pd" else c for c in text)
    text = "".join(c for c in text if c == "'" or unicodedata.category(c)[0] not in "PS")
    text = re.sub(r"(?<!\w)'+|'+(?!\w)", " ", text)
    return " ".join(text.split())


def word_error_rate(
    references: Sequence[str],
    hypotheses: Sequence[str],
    *,
    normalize: Callable[[str], str] = normalize_english,
) -> ErrorRate:
    """Word error rate of hypotheses against references, one each per utterance."""
    return _error_rate(references, hypotheses, normalize, characters=False)


def character_error_rate(
    references: Sequence[str],
    hypotheses: Sequence[str],
    *,
    normalize: Callable[[str], str] = normalize_english,
) -> ErrorRate:
    """Character error rate, spaces between words counted as characters."""
    return _error_rate(references, hypotheses, normalize, characters=True)


def _error_rate(
    references: Sequence[str],
    hypotheses: Sequence[str],
    normalize: Callable[[str], str],
    *,
    characters: bool,
) -> ErrorRate:
    if len(references) != len(hypotheses):
        raise EvaluationError(
            f"an error rate needs one hypothesis per reference, got {len(hypotheses)} for "
            f"{len(references)}"
        )
    for texts in (references, hypotheses):
        strange = [text for text in texts if not isinstance(text, str)]
        if isinstance(texts, str) or strange:
            wrong = "a single string" if isinstance(texts, str) else repr(strange[0])
            raise EvaluationError(f"an error rate takes sequences of texts, got {wrong}")
    right = [normalize(text) for text in references]
    heard = [normalize(text) for text in hypotheses]
    counts = [_count(a, b, characters) for a, b in zip(right, heard, strict=True)]
    tokens = sum(length for _, length in counts)
    if tokens == 0:
        raise EvaluationError("an error rate needs at least one reference that is not empty")
    errors = sum(number for number, _ in counts)
    rates = [number / length for number, length in counts if length]
    name = getattr(normalize, "__name__", "custom")
    return ErrorRate(
        micro=errors / tokens,
        mean=math.fsum(rates) / len(rates),
        errors=errors,
        tokens=tokens,
        n=len(counts),
        n_empty_references=sum(not text for text in right),
        n_empty_hypotheses=sum(not text for text in heard),
        normalizer=NORMALIZER if normalize is normalize_english else name,
    )


def _count(reference: str, hypothesis: str, characters: bool) -> tuple[int, int]:
    length = len(reference) if characters else len(reference.split())
    if not reference:
        return (len(hypothesis) if characters else len(hypothesis.split())), 0
    process = jiwer.process_characters if characters else jiwer.process_words
    found = process(reference, hypothesis)
    return found.substitutions + found.deletions + found.insertions, length

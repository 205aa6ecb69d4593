"""Word and character error rates, with the normalizer named in the result."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jiwer

from orality.errors import EvaluationError
from orality.text.scripts import close_up, tokens

NORMALIZER = "orality-english"
_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "`": "'"})
# Stand-ins while all other marks are removed: private characters, which no text holds.
_POINT, _MINUS = "\ue000", "\ue001"
_KEPT = f"'{_POINT}{_MINUS}"
_MARKS_OF_NUMBERS = str.maketrans({_POINT: ".", _MINUS: "-"})
_ARABIC_MARKS = str.maketrans({"\u066b": ".", "\u066c": ","})


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
    transcriber that writes "5" for "five" pays for it. Inside numbers a decimal point (or comma)
    and a leading minus stay, a thousands' comma goes, and any other mark becomes a space: "3.5" is
    not "35", nor "1/2" "12", but "1,000" is "1000". Combining marks belong to their letters and
    stay; spaces inside scripts that have none go.
    """
    text = re.sub(r"(?<=\d)(?=[\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u2189])", " ", text)
    text = unicodedata.normalize("NFKC", text).casefold().translate(_APOSTROPHES)
    text = unicodedata.normalize("NFKC", text)  # folding can take letters apart
    text = _inside_numbers(text)
    text = "".join(" " if unicodedata.category(c) == "Pd" else c for c in text)
    text = "".join(c for c in text if c in _KEPT or unicodedata.category(c)[0] not in "PS")
    text = re.sub(r"(?<!\w)'+|'+(?!\w)", " ", text).translate(_MARKS_OF_NUMBERS)
    return close_up(" ".join(text.split()))


def _inside_numbers(text: str) -> str:
    """The marks of numbers as they count: points and minus signs as private characters."""
    text = text.translate(_ARABIC_MARKS)
    text = re.sub(r"(?<=\d),(?=(?:\d\d,)*\d{3}(?!\d))", "", text)
    text = re.sub(r"(?<=\d)[.,](?=\d)", _POINT, text)
    text = re.sub(r"(?<![\w.])\.(?=\d)", "0" + _POINT, text)
    text = re.sub(r"(?:(?<=\s)|^)[-\u2212](?=\d)", _MINUS, text)
    return re.sub(r"(?<=\d)[^\w\s'.,\ue000\ue001](?=\d)", " ", text)


def word_error_rate(
    references: Sequence[str],
    hypotheses: Sequence[str],
    *,
    normalize: Callable[[str], str] = normalize_english,
) -> ErrorRate:
    """Word error rate of hypotheses against references, one each per utterance.

    Words are `orality.text.scripts.tokens`: characters where a script has no spaces between words.
    """
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
    if characters:
        if not reference:
            return len(hypothesis), 0
        found: jiwer.CharacterOutput | jiwer.WordOutput = jiwer.process_characters(
            reference, hypothesis
        )
        return found.substitutions + found.deletions + found.insertions, len(reference)
    right, heard = tokens(reference), tokens(hypothesis)
    if not right:
        return len(heard), 0
    found = jiwer.process_words(" ".join(right), " ".join(heard))
    return found.substitutions + found.deletions + found.insertions, len(right)

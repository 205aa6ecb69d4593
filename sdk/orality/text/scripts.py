"""Texts as tokens, whatever script they are in: words where there are spaces, else characters."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from orality.text.languages import primary

__all__ = ["close_up", "has_spaces", "is_unspaced", "join", "tokens", "words"]

# Scripts whose words stand without spaces, with the punctuation that only they use.
_RANGES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19FF),  # Tai Le, New Tai Lue, Khmer symbols
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x2E80, 0x2FDF),  # radicals of Han
    (0x3000, 0x312F),  # marks of Chinese and Japanese, kana, bopomofo
    (0x31A0, 0x31FF),  # more of both
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),  # Han
    (0xA000, 0xA4CF),  # Yi
    (0xA9E0, 0xA9FF),  # Myanmar
    (0xAA60, 0xAA7F),  # Myanmar
    (0xF900, 0xFAFF),  # Han
    (0xFF01, 0xFF0F),  # full-width marks
    (0xFF1A, 0xFF20),
    (0xFF3B, 0xFF40),
    (0xFF5B, 0xFF9F),  # half-width kana as well
    (0x1B000, 0x1B16F),  # more kana
    (0x20000, 0x3FFFF),  # Han
)
_LANGUAGES = frozenset({"bo", "dz", "ja", "km", "lo", "lzh", "my", "th", "wuu", "yue", "zh"})
_STACKERS = "\u1039\u17d2"  # in Myanmar and Khmer, put the next consonant under the last one
_SPACES = dict.fromkeys([0x200B, 0xFEFF], " ")  # spaces of no width


def has_spaces(language: str) -> bool:
    """Whether the words of a language are written with spaces; regions do not count."""
    return primary(language) not in _LANGUAGES


def is_unspaced(character: str) -> bool:
    """Whether a character is of a script that is written without spaces between words."""
    code = ord(character)
    return code >= 0x0E00 and any(first <= code <= last for first, last in _RANGES)


def tokens(text: str) -> list[str]:
    """A text split at white space, and where a script has no spaces, into characters.

    A character keeps its combining marks. Latin words and numbers inside such a text stay whole,
    as does Korean, which has spaces. Nothing is dropped but the space: marks are tokens, or part of
    one. The text is composed (NFC), so that equal letters are equal tokens.
    """
    composed = unicodedata.normalize("NFC", text).translate(_SPACES)
    return [token for word in composed.split() for token in _pieces(word)]


def words(text: str) -> list[str]:
    """A text's `tokens`, case folded, punctuation at either end removed.

    So that a transcriber's taste in capitals and commas does not hide a repetition.
    """
    stripped = (_strip(token) for token in tokens(text.casefold()))
    return [token for token in stripped if token]


def close_up(text: str) -> str:
    """The text without spaces between two characters of scripts that have none.

    Some transcribers put them there, others do not.
    """
    kept: list[str] = []
    for place, character in enumerate(text):
        if character.isspace() and 0 < place < len(text) - 1:
            before, after = text[place - 1], text[place + 1]
            if is_unspaced(before) and is_unspaced(after):
                continue
        kept.append(character)
    return "".join(kept)


def join(*texts: str) -> str:
    """Texts as one, a space between them where their scripts have spaces; empty ones are left out.

    White space at either end of a text does not count.
    """
    joined = ""
    for text in filter(None, map(str.strip, texts)):
        apart = joined and not (is_unspaced(joined[-1]) and is_unspaced(text[0]))
        joined += f" {text}" if apart else text
    return joined


def _pieces(word: str) -> Iterator[str]:
    """A word without spaces: runs of spaced scripts whole, all else by the character."""
    start, apart = 0, False
    for place, character in enumerate(word):
        if place and _continues(word[place - 1], character):
            continue
        now = is_unspaced(character)
        if place and (now or apart):
            yield word[start:place]
            start = place
        apart = now
    if word:
        yield word[start:]


def _continues(before: str, character: str) -> bool:
    """Whether a character is part of the one before: a mark, a joiner, a stacked consonant."""
    return (
        unicodedata.category(character)[0] == "M"
        or character in "\u200c\u200d"
        or before in _STACKERS
    )


def _strip(token: str) -> str:
    start, end = 0, len(token)
    while start < end and _is_mark(token[start]):
        start += 1
    while end > start and _is_mark(token[end - 1]):
        end -= 1
    return token[start:end]


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS"

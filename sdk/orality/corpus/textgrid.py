"""Praat's TextGrid files, as the Montreal Forced Aligner writes them: the tier of words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from orality.errors import CorpusError
from orality.types import Word
from orality.untrusted import documents

MOST_BYTES = 5_000_000  # an hour of phones takes about three
_TOKEN = re.compile(
    r'"((?:[^"]|"")*)"'  # text; a quotation mark inside is doubled
    r"|\[[^\]\[\n]{0,20}\]"  # numbering, as in intervals [3]
    r"|(<exists>|<absent>)"
    r"|([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)"
)


def read_textgrid(path: Path) -> list[Word]:
    """The words of a TextGrid (long or short form, UTF-8 or UTF-16) in the order of their times.

    The tier is the one named `words` or `word` (`SPEAKER - words` too), or the only one of
    intervals; intervals without text are silence. Raises CorpusError for anything else.
    """
    text = documents.read_text(path, CorpusError, most_bytes=MOST_BYTES)
    if text.startswith(("ooBinaryFile", '"Praat chronological')):
        raise CorpusError(
            f"{path} is not a TextGrid in text form; save it in Praat as a (short) text file"
        )
    try:
        tiers = list(_tiers(_tokens(text)))
    except (StopIteration, RuntimeError, TypeError, ValueError, OverflowError) as error:
        raise CorpusError(
            f"{path} is no whole TextGrid: it ends early, or a number is missing"
        ) from error
    named = [words for name, words in tiers if re.search(r"(^|\W)words?$", name.strip().lower())]
    chosen = named or [words for _, words in tiers]
    if len(chosen) != 1:
        names = ", ".join(repr(name) for name, _ in tiers) or "none"
        raise CorpusError(f"{path} has no single tier of words; its tiers of intervals: {names}")
    return sorted(chosen[0], key=lambda word: word.start)


def _tokens(text: str) -> Iterator[str | float]:
    """The values of a TextGrid, keys and numbering left out: the short form of either form."""
    for found in _TOKEN.finditer(text):
        quoted, flag, number = found.groups()
        if quoted is not None:
            yield quoted.replace('""', '"')
        elif flag is not None:
            yield flag
        elif number is not None:
            yield float(number)


def _tiers(tokens: Iterator[str | float]) -> Iterator[tuple[str, list[Word]]]:
    """Name and words of each tier of intervals."""
    kind = next(tokens)
    if kind not in ("ooTextFile", "ooTextFile short") or next(tokens) != "TextGrid":
        raise ValueError("no TextGrid")
    _number(tokens), _number(tokens)  # from, to
    if next(tokens) != "<exists>":
        return
    for _ in range(int(_number(tokens))):
        kind, name = next(tokens), str(next(tokens))
        _number(tokens), _number(tokens)
        words = []
        for _ in range(int(_number(tokens))):
            start = _number(tokens)
            end = _number(tokens) if kind == "IntervalTier" else start
            label = next(tokens)
            if not isinstance(label, str):
                raise ValueError("a label is missing")
            words.append(Word(label.strip(), start, end))
        if kind == "IntervalTier":
            yield name, [word for word in words if word.text]


def _number(tokens: Iterator[str | float]) -> float:
    value = next(tokens)
    if not isinstance(value, float):
        raise ValueError(f"{value!r} stands where a number should")
    return value

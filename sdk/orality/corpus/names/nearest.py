"""Which of several files of one name belongs to a recording: the one whose folders are its own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import PurePath

# Folders in which aligners put what is not words, next to the folder of words.
_OTHER_LEVELS = frozenset(
    {"char", "chars", "characters", "phone", "phones", "phoneme", "phonemes", "segment", "segments",
     "state", "states", "subwords", "token", "tokens"}
)  # fmt: skip


def nearest(files: Sequence[str], recording: str, rivals: Sequence[str] = ()) -> str | None:
    """The file that belongs to the recording, or None where that is not certain.

    A single file belongs to a recording without `rivals`, wherever it lies. Else folders decide:
    the file must share more of them with this recording, in the same order, than any other file
    does, and more than it shares with any of the `rivals`, which are recordings of
    the same name.
    """
    own = _folders(recording)
    known = set(_lower(recording))
    files = [file for file in files if not _OTHER_LEVELS & (set(_lower(file)) - known)]
    if len(files) == 1 and not rivals:
        return files[0]
    if not files:
        return None
    shared = [_shared(own, _folders(file)) for file in files]
    best = max(shared)
    chosen = [file for file, count in zip(files, shared, strict=True) if count == best]
    if len({_folders(file) for file in chosen}) > 1:
        return None
    there = _folders(chosen[0])
    if any(_shared(_folders(rival), there) >= best for rival in rivals):
        return None
    return chosen[0]


def _folders(path: str) -> tuple[str, ...]:
    return PurePath(os.path.abspath(path)).parts[:-1]


def _lower(path: str) -> list[str]:
    return [part.lower() for part in _folders(path)]


def _shared(a: tuple[str, ...], b: tuple[str, ...]) -> int:
    """How many folders two paths have in common, in the same order; most where all are the same."""
    lengths = [0] * (len(b) + 1)  # of the longest common subsequence, row by row
    for part in a:
        before = list(lengths)
        for place, other in enumerate(b, start=1):
            same = before[place - 1] + 1 if part == other else 0
            lengths[place] = max(same, before[place], lengths[place - 1])
    return 2 * lengths[-1] + (a == b)

"""What a corpus is made of: one pass that lists it, and a way back to each of its rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from orality.corpus.recording import Recording
from orality.types import Word

SPLITS = ("train", "dev", "test")
# What libsndfile reads without being told rate and channels.
AUDIO_SUFFIXES = frozenset(
    {".aif", ".aifc", ".aiff", ".au", ".avr", ".caf", ".fap", ".flac", ".htk", ".iff",
     ".mp3", ".nist", ".oga", ".ogg", ".opus", ".paf", ".pvf", ".rf64", ".sd2", ".sf",
     ".snd", ".sph", ".svx", ".voc", ".w64", ".wav", ".wave", ".wve", ".xi"}
)  # fmt: skip
_SPLIT = re.compile(
    r"(?:^|[^a-z])(?:(train)|(dev|valid|validation|val|eval)|(test))(?![a-z])", re.IGNORECASE
)
NO_COLUMNS: Mapping[str, str] = {}


class Entry(NamedTuple):
    """An utterance as it is listed: `place` is where its source finds it again."""

    id: str
    place: int
    split: str | None
    where: str = ""
    """For messages: the file and the line."""
    path: bytes = b""
    """The recording's, where it is a file."""


@dataclass(frozen=True, slots=True)
class Row:
    """What a source knows about an utterance."""

    recording: Recording
    text: str | None = None
    words: tuple[Word, ...] = ()
    language: str | None = None


class Source(Protocol):
    """Lists utterances without keeping them, and reads one when it is asked for."""

    @property
    def alignments(self) -> Path | None:
        """The folder to look for words in when no other is named."""
        ...

    def entries(self) -> Iterator[Entry]:
        """Every utterance. Raises CorpusError when one is malformed."""
        ...

    def row(self, place: int) -> Row:
        """One utterance. Raises CorpusError when it is malformed after all."""
        ...


def split_named(name: str) -> str | None:
    """The split that a name tells: `train.100`, `data/validation-00000-of-00001`, `dev-clean`."""
    found = _SPLIT.search(name)
    return None if found is None else SPLITS[(found.lastindex or 1) - 1]

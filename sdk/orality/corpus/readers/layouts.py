"""Corpora as they are distributed: LibriSpeech, Multilingual LibriSpeech, a folder of audio."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath

import pyarrow as pa
import pyarrow.compute as pc

from orality.audio import printable
from orality.corpus.names.names import LineIndex
from orality.corpus.readers.files import Names, files_below
from orality.corpus.readers.transcripts import beside
from orality.corpus.recording import FileSlice, Unreadable
from orality.corpus.sources import AUDIO_SUFFIXES, SPLITS, Entry, Row
from orality.errors import CorpusError
from orality.untrusted import documents

_MLS_LANGUAGES = {
    "dutch": "nl", "english": "en", "french": "fr", "german": "de", "italian": "it",
    "polish": "pl", "portuguese": "pt", "spanish": "es",
}  # fmt: skip


def folder_source(folder: Path) -> Distribution | Folder:
    """Every recording below `folder`, read as the layout asks that is found there.

    LibriSpeech is known by its `*.trans.txt`, Multilingual LibriSpeech by `SPLIT/transcripts.txt`.
    Elsewhere a text file of the recording's name is its transcript, as in LibriTTS and VCTK.
    """
    librispeech: list[Path] = []
    mls: list[Path] = []

    def recordings() -> Iterator[bytes]:
        for name in files_below(folder):
            if os.path.splitext(name)[1].lower() in _SUFFIXES:
                yield name
            elif name.endswith(b".trans.txt"):
                librispeech.append(folder / os.fsdecode(name))
            elif os.path.basename(name) == b"transcripts.txt":
                path = folder / os.fsdecode(name)
                if path.parent.name in SPLITS:
                    mls.append(path)

    names = Names(folder, recordings())
    if librispeech:
        return Distribution(folder, names, librispeech, " ", _librispeech_split)
    if mls:
        return Distribution(folder, names, mls, "\t", _mls_split)
    return Folder(folder, names)


class Distribution:
    """Recordings whose names are ids, with transcripts in lists beside them."""

    def __init__(
        self,
        folder: Path,
        names: Names,
        transcripts: list[Path],
        separator: str,
        split_of: Callable[[tuple[str, ...]], str | None],
    ) -> None:
        self.alignments: Path | None = folder
        self._folder, self._names = folder, names
        self._texts, self._separator = LineIndex(transcripts), separator
        self._split_of = split_of

    def entries(self) -> Iterator[Entry]:
        """Ids are the names of the files; what has no transcript is listed as well."""
        for place, name in enumerate(self._names):
            path = PurePath(printable(os.fsdecode(name)))
            yield Entry(path.stem, place, self._split_of(path.parts), path=self._names.path(place))

    def row(self, place: int) -> Row:
        """The recording and its transcript."""
        recording = FileSlice(self._names.path(place))
        text = None
        for _, line in self._texts.lines(recording.stem):
            text = line.partition(self._separator)[2].strip()
        return Row(recording, text=text, language=_mls_language(PurePath(recording.name)))


class Folder:
    """Recordings of any names; those of one stem keep their suffixes in their ids."""

    def __init__(self, folder: Path, names: Names) -> None:
        self.alignments: Path | None = folder
        self._folder, self._names = folder, names
        # Folders `train-clean-100`, `dev`, ... (LibriTTS) are splits where all recordings have one.
        splits = {_librispeech_split(PurePath(os.fsdecode(name)).parts[:-1]) for name in names}
        self._has_splits = None not in splits and len(splits) > 1
        self._texts = _lj_texts(folder)

    def entries(self) -> Iterator[Entry]:
        """Ids are the paths below the folder."""
        counts = pc.value_counts(pa.array(map(_id, self._names), pa.large_string()))
        twice = set(
            counts.filter(pc.greater(counts.field("counts"), 1)).field("values").to_pylist()
        )
        for place, name in enumerate(self._names):
            short = _id(name)
            whole = printable(os.fsdecode(name)).replace("/", "-")
            name_of = whole if short in twice else short
            yield Entry(name_of, place, self._split(name), path=self._names.path(place))

    def row(self, place: int) -> Row:
        """The recording and its transcript; one that cannot be read makes it unreadable."""
        path = self._names.path(place)
        recording = FileSlice(path)
        try:
            text = self._texts.get(recording.stem)
            return Row(recording, text=text or beside(Path(os.fsdecode(path)), self._folder))
        except CorpusError as error:
            return Row(Unreadable(recording.name, str(error), recording.stem))

    def _split(self, name: bytes) -> str | None:
        parts = PurePath(printable(os.fsdecode(name))).parts[:-1]
        return _librispeech_split(parts) if self._has_splits else None


def _lj_texts(folder: Path) -> dict[str, str]:
    """LJSpeech's `metadata.csv`: NAME|text|text with numbers spelled out, without a header."""
    path = folder / "metadata.csv"
    if not path.is_file() or not (folder / "wavs").is_dir():
        return {}
    rows = (line.split("|") for line in documents.read_text(path, CorpusError).splitlines())
    return {row[0]: (row[2:3] or row[1:2])[0].strip() for row in rows if len(row) > 1}


_SUFFIXES = frozenset(suffix.encode() for suffix in AUDIO_SUFFIXES)


def _id(name: bytes) -> str:
    return printable(os.fsdecode(os.path.splitext(name)[0])).replace("/", "-")


def _librispeech_split(parts: tuple[str, ...]) -> str | None:
    for part in parts:
        for split in SPLITS:
            if part == split or part.startswith(f"{split}-"):
                return split
    return None


def _mls_split(parts: tuple[str, ...]) -> str | None:
    return next((part for part in parts if part in SPLITS), None)


def _mls_language(audio: PurePath) -> str | None:
    """From the distribution's folder, `mls_german` or `mls_german_opus`."""
    for part in audio.parts:
        if part.startswith("mls_"):
            return _MLS_LANGUAGES.get(part.split("_")[1])
    return None

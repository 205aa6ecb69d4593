"""A corpus: millions of utterances, of which only names and places are in memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from orality.audio import AudioLimits
from orality.corpus.alignments import Alignments
from orality.corpus.names.namesakes import namesakes
from orality.corpus.recording import Recording, Unreadable
from orality.corpus.sources import SPLITS, Entry, Source
from orality.corpus.times import checked, of_slice
from orality.corpus.utterance import Utterance
from orality.errors import CorpusError
from orality.types import Word

_AT_A_TIME = 1 << 16


class Corpus(Sequence[Utterance]):
    """The utterances of a corpus, ordered by id; each is made when it is asked for.

    About thirty bytes an utterance and its id are held. Pickling keeps `reopen` alone, so that
    another process lists the corpus anew; utterances themselves are small and pickle as they are.
    Raises CorpusError when the source is malformed or has an id twice.
    """

    def __init__(
        self,
        source: Source,
        *,
        language: str,
        limits: AudioLimits,
        alignments: Alignments | None,
        reopen: Callable[[], Corpus],
    ) -> None:
        self._source, self._language, self._limits = source, language, limits
        self._alignments, self._reopen = alignments, reopen
        ids, places, splits = _listed(source.entries())
        self._namesakes = {} if alignments is None else namesakes(source.entries)
        order = pc.sort_indices(ids)
        self._ids = pa.chunked_array([ids.take(order)]).combine_chunks()
        self._places, self._splits = places[order], splits[order]
        twice = pc.index(pc.equal(self._ids[:-1], self._ids[1:]), True).as_py() if len(ids) else -1
        if twice >= 0:
            name, both = self._ids[twice].as_py(), self._places[twice : twice + 2].tolist()
            first, second = (source.row(int(place)).recording.name for place in both)
            raise CorpusError(
                f"the corpus has the id {name!r} twice, for {first} and {second}; give each "
                "recording an id of its own, or name another column as corpus.columns.id"
            )

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Utterance: ...

    @overload
    def __getitem__(self, index: slice) -> list[Utterance]: ...

    def __getitem__(self, index: int | slice) -> Utterance | list[Utterance]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        return self._utterance(number)

    def __iter__(self) -> Iterator[Utterance]:
        return (self._utterance(number) for number in range(len(self)))

    def __reduce__(self) -> tuple[Callable[[], Corpus], tuple[()]]:
        return self._reopen, ()

    def ids_of(self, split: str) -> list[str]:
        """The ids of a split in order; no utterance is made."""
        found: list[str] = self._ids.take(pa.array(self.indices_of(split))).to_pylist()
        return found

    def indices_of(self, split: str) -> NDArray[np.int64]:
        """Where in the corpus a split's utterances are, in order."""
        return np.flatnonzero(self._splits == SPLITS.index(split))

    def find(self, name: str) -> Utterance:
        """The utterance of an id; KeyError where there is none."""
        first, last = 0, len(self)
        while first < last:
            middle = (first + last) // 2
            if self._ids[middle].as_py().encode() < name.encode():
                first = middle + 1
            else:
                last = middle
        if first == len(self) or self._ids[first].as_py() != name:
            raise KeyError(name)
        return self._utterance(first)

    def in_storage_order(self, indices: Sequence[int]) -> list[int]:
        """The same indices, neighbors in the files together: reading them so is fastest."""
        chosen = np.asarray(indices, np.int64)
        ordered: list[int] = chosen[np.argsort(self._places[chosen], kind="stable")].tolist()
        return ordered

    def _utterance(self, number: int) -> Utterance:
        name = self._ids[number].as_py()
        row = self._source.row(int(self._places[number]))
        recording, text, words = row.recording, row.text, row.words
        try:
            words = checked(words or self._aligned(name, recording), recording.name)
            text = text or " ".join(word.text for word in words) or None
        except CorpusError as error:
            # One bad alignment is counted like one bad recording; it does not stop the others.
            recording, words = Unreadable(recording.name, str(error)), ()
        return Utterance(
            id=name,
            recording=recording,
            text=text,
            words=words,
            split=SPLITS[self._splits[number]],
            language=row.language or self._language,
            limits=self._limits,
        )

    def _aligned(self, name: str, recording: Recording) -> tuple[Word, ...]:
        """The words that a file has under the utterance's id, else under its recording's name."""
        if self._alignments is None:
            return ()
        stem, path = recording.stem, os.fsdecode(getattr(recording, "path", b""))
        start, seconds = getattr(recording, "start", 0.0), getattr(recording, "seconds", None)
        rivals = [other for other in self._namesakes.get(stem, ()) if other != path]
        if name != stem:
            words = self._alignments.find(name, path)
            if words:
                return tuple(words)
        words = self._alignments.find(stem, path, rivals) if stem else []
        if seconds is None:
            return tuple(words)
        # What is called as the recording tells of the whole of it; unless it is called as the
        # slice, too, and ends where the slice does.
        if name == stem and max((word.end for word in words), default=0.0) <= seconds:
            return tuple(words)
        return of_slice(words, start, seconds)


def _listed(
    entries: Iterator[Entry],
) -> tuple[pa.LargeStringArray, NDArray[np.int64], NDArray[np.int8]]:
    """Ids, places and numbers of splits, in the order of the source."""
    ids, places, splits = [pa.array([], pa.large_string())], [], []
    while part := list(islice(entries, _AT_A_TIME)):
        ids.append(pa.array([_valid(entry) for entry in part], pa.large_string()))
        places.append(np.array([entry.place for entry in part], np.int64))
        splits.append(np.array([_split_number(entry) for entry in part], np.int8))
    names = pa.concat_arrays(ids)
    numbers = np.concatenate([np.zeros(0, np.int8), *splits])
    if (numbers < 0).any():
        numbers = np.where(numbers < 0, _default_splits(names), numbers)
    return names, np.concatenate([np.zeros(0, np.int64), *places]), numbers


def _valid(entry: Entry) -> str:
    if not entry.id:
        raise CorpusError(f"{entry.where} has an empty id")
    return entry.id.encode("utf-8", "backslashreplace").decode()


def _split_number(entry: Entry) -> int:
    if entry.split is None:
        return -1
    if entry.split not in SPLITS:
        raise CorpusError(f"{entry.where}: split is {entry.split!r}, it must be one of {SPLITS}")
    return SPLITS.index(entry.split)


def _default_splits(names: pa.LargeStringArray) -> NDArray[np.int8]:
    """10 % dev, 10 % test by the order of the ids' hashes; at least one of each from three on."""
    digests = np.fromiter(
        (hashlib.sha256(name.as_py().encode()).digest() for name in names), "S32", len(names)
    )
    order = np.argsort(digests, kind="stable")
    share = max(1, len(names) // 10) if len(names) >= 3 else 0
    numbers = np.full(len(names), SPLITS.index("train"), np.int8)
    numbers[order[:share]] = SPLITS.index("dev")
    numbers[order[share : 2 * share]] = SPLITS.index("test")
    return numbers


def alignments_below(folder: Path | None) -> Alignments | None:
    """What a folder of alignments knows. CorpusError where there is no such folder."""
    if folder is None:
        return None
    if not folder.is_dir():
        raise CorpusError(f"there is no folder of alignments at {folder}")
    return Alignments(folder)

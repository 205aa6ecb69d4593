"""The prompts of a corpus: as many usable recordings of each split as asked for, in shards."""

from __future__ import annotations

import logging
import random
import statistics
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from orality.corpus import Utterance
from orality.errors import CorpusError, StoreError
from orality.feedback.cutting import FOREIGN, Cutting
from orality.feedback.schemas import PROMPTS
from orality.progress import Progress, silent
from orality.store import (
    drop_unfinished,
    put_shard,
    read_shard,
    read_table,
    shard_path,
    shard_paths,
    sound_shards,
    sync_files,
)

logger = logging.getLogger(__name__)

Record = dict[str, Any]
SPLITS = ("train", "dev", "test")
_EMPTY = {
    "train": "the split 'train' holds no usable prompt of %d recordings: no pairs can be made to "
    "train on",
    "dev": "nothing is held out as 'dev' (%d recordings): no dev pairs will pick a step; give "
    "some utterances split: dev, or all of them none, and a tenth is held out",
    "test": "nothing is held out as 'test' (%d recordings): the evaluation will have no prompts; "
    "give some utterances split: test, or all of them none, and a tenth is held out; "
    "`evaluation.prompts: 0` wants none",
}
_KEEP = "; change `language`, or keep them with `corpus.other_languages: keep`"
_AT_A_TIME = 16  # recordings in memory
_NAMED = 20  # broken recordings, before the log only counts them


@dataclass(frozen=True, slots=True)
class Chunk:
    """Recordings that become one shard of prompts: their places in the corpus."""

    shard: str
    items: Sequence[int]


@dataclass(frozen=True, slots=True)
class Prompts:
    """The usable prompts of a run, on disk. `counts`: how many each shard holds, in order.

    A shard is what is worked on, stored and resumed at a time, by every stage that follows.
    """

    folder: Path
    counts: Mapping[str, int]

    @classmethod
    def of(cls, folder: Path) -> Prompts:
        """What a folder of a run holds already."""
        counts = {}
        for path in shard_paths(folder):
            rows = read_shard(path, ["skipped"])
            counts[path.stem] = sum(row["skipped"] is None for row in rows)
        return cls(folder, counts)

    def shards(self, *splits: str) -> list[str]:
        """Names of the shards of these splits that hold a prompt."""
        return [shard for shard, count in self.counts.items() if count and _split(shard) in splits]

    def count(self, *splits: str) -> int:
        """How many prompts these splits have."""
        return sum(self.counts[shard] for shard in self.shards(*splits))

    def read(self, shard: str, columns: list[str] | None = None) -> list[Record]:
        """A shard's usable prompts, in stored order."""
        names = None if columns is None else sorted({"skipped", *columns})
        rows = read_shard(shard_path(self.folder, shard), names)
        return [row for row in rows if row["skipped"] is None]

    def records(self, *splits: str, columns: list[str] | None = None) -> Iterator[Record]:
        """The usable prompts of these splits, a shard at a time in memory."""
        for shard in self.shards(*splits):
            yield from self.read(shard, columns)


def cut_chunk(corpus: Sequence[Utterance], chunk: Chunk, cutting: Cutting, folder: Path) -> int:
    """Make one shard of prompts, unless it is there; returns how many recordings were looked at."""
    path = shard_path(folder, chunk.shard)
    if path.exists():
        return 0
    records: list[Record] = []
    for start in range(0, len(chunk.items), _AT_A_TIME):
        items = chunk.items[start : start + _AT_A_TIME]
        records += cutting([corpus[item] for item in items], chunk.shard)
    sync_files(folder / "audio" / chunk.shard)
    put_shard(path, records, PROMPTS)
    return len(records)


def collect_prompts(
    corpus: Sequence[Utterance],
    *,
    folder: Path,
    cut: Callable[[Iterable[Chunk]], object],
    limits: Mapping[str, int | None],
    shard_size: int,
    max_failures: float,
    seed: int,
    progress: Progress = silent,
) -> Prompts:
    """The usable prompts of a corpus, made where they are missing and stored in `folder`.

    `cut` makes the shards of chunks that it is given, in any order and by any number of processes.
    `limits`: how many prompts of each split at most, drawn in an order fixed by `seed`. No more
    recordings are read than are needed: what turns out unusable is replaced in the next turn.
    Recordings that are broken or too short are stored with the reason. Raises CorpusError when
    nothing is usable or more than `max_failures` of the files cannot be read.
    """
    sound = sound_shards(folder)
    found = _Found({})
    for split in SPLITS:
        places = _places(corpus, split)
        random.Random(f"{seed}/{split}").shuffle(places)
        limit = len(places) if limits.get(split) is None else limits[split] or 0
        usable, taken, number = 0, 0, 0
        while taken < len(places) and usable < limit:
            wave = []
            end = min(len(places), taken + limit - usable)
            for start in range(taken, end, shard_size):
                items = places[start : min(start + shard_size, end)]
                wave.append(Chunk(f"{split}-{number:05d}", items))
                number += 1
            progress(f"prompts ({split})", usable, limit)
            for chunk in wave:
                if chunk.shard in sound:
                    _check_corpus(corpus, chunk, folder)
                else:
                    drop_unfinished(folder / "audio" / chunk.shard)
            cut(chunk for chunk in wave if chunk.shard not in sound)
            usable += sum(found.add(folder, chunk.shard) for chunk in wave)
            taken = end
            progress(f"prompts ({split})", usable, limit)
            found.check(max_failures)
        if _is_wanted(limits, split) and not usable:
            logger.warning(_EMPTY[split], len(places))
    found.report()
    return Prompts(folder, found.counts)


def _is_wanted(limits: Mapping[str, int | None], split: str) -> bool:
    """Whether any prompts of a split are asked for."""
    return limits.get(split) != 0


@dataclass
class _Found:
    counts: dict[str, int]
    recordings: int = 0
    broken: int = 0
    foreign: int = 0
    first: list[str] = field(default_factory=list)
    reasons: set[str] = field(default_factory=set)

    def add(self, folder: Path, shard: str) -> int:
        """Count a shard; how many usable prompts it has."""
        rows = read_shard(shard_path(folder, shard), ["skipped", "unreadable"])
        for row in rows:
            if row["unreadable"]:
                self.broken += 1
                if len(self.first) < _NAMED:
                    logger.warning("skipped: %s", row["skipped"])
                    self.first.append(row["skipped"])
            self.foreign += (row["skipped"] or "").startswith(FOREIGN)
            if row["skipped"] is not None and len(self.reasons) < _NAMED:
                self.reasons.add(row["skipped"])
        self.recordings += len(rows)
        self.counts[shard] = sum(row["skipped"] is None for row in rows)
        return self.counts[shard]

    def check(self, max_failures: float) -> None:
        if self.broken > max(1.0, max_failures * self.recordings):
            raise CorpusError(
                f"{self.broken} of {self.recordings} recordings cannot be read, more than "
                f"corpus.max_failures = {max_failures:g} allows; the first: {self.first[0]}"
            )

    def report(self) -> None:
        usable = sum(self.counts.values())
        if not usable:
            raise CorpusError(
                f"none of the {self.recordings} recordings can serve as a prompt: "
                f"{'; '.join(sorted(self.reasons)[:3])}{_KEEP if self.foreign else ''}"
            )
        if self.foreign:
            logger.warning(
                "%d of %d recordings are in another language than the recipe's and left out%s",
                self.foreign,
                self.recordings,
                _KEEP,
            )
        if usable < self.recordings - self.foreign:
            logger.warning(
                "%d of %d recordings are unreadable, %d more unsuitable as prompts",
                self.broken,
                self.recordings,
                self.recordings - usable - self.broken - self.foreign,
            )


def median_pace(prompts: Prompts) -> float:
    """Units per second of speech, the median over the train and dev prompts."""
    paces = array("d")
    for shard in prompts.shards("train", "dev"):
        rows = read_table(shard_path(prompts.folder, shard), ["skipped", "units", "cut"])
        rows = rows.filter(pc.is_null(rows["skipped"]))
        paces.extend(pc.divide(pc.list_value_length(rows["units"]), rows["cut"]).to_pylist())
    return float(statistics.median(paces))


def _check_corpus(corpus: Sequence[Utterance], chunk: Chunk, folder: Path) -> None:
    """StoreError when a stored shard is not what the corpus would give now."""
    path = shard_path(folder, chunk.shard)
    rows = read_shard(path, ["id"])
    same = len(rows) == len(chunk.items) and rows[0]["id"] == corpus[chunk.items[0]].id
    if not same:
        raise StoreError(
            f"the corpus holds other recordings than when {path} was made; nothing was mixed: "
            "bring those back, or give another --out"
        )


def _places(corpus: Sequence[Utterance], split: str) -> array[int]:
    """Where a split's utterances are; a corpus that can tell is not asked for each of them."""
    known = getattr(corpus, "indices_of", None)
    if known is not None:
        return array("q", known(split))
    return array("q", (place for place, item in enumerate(corpus) if item.split == split))


def _split(shard: str) -> str:
    return shard.partition("-")[0]

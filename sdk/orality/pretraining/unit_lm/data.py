"""What the unit language model reads: stories of several unit sequences, and single sequences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from orality.errors import TrainingError
from orality.pretraining.loop import rng_of

Ids = NDArray[np.int64]

PAD, BOS, EOS, OFFSET = 0, 1, 2, 3
"""Token ids: three specials in front, then the units (token id = unit id + OFFSET)."""

_CHUNK = 4096  # sequences that are drawn, sorted by length and shuffled at a time
_IGNORED = -100  # a target that is padding


@dataclass(frozen=True, slots=True)
class UnitCorpus:
    """Unit sequences by id, and how they are read.

    `stories`: ids of sequences that are read one after the other as one. `singles`: ids read
    alone. `story_share`: share of the stories among all sequences drawn, where both exist.
    """

    units: Mapping[str, Ids]
    stories: Sequence[Sequence[str]]
    singles: Sequence[str] = ()
    story_share: float = 0.5


@dataclass(frozen=True, slots=True)
class Batch:
    """Right-padded rows: `inputs`, `targets` (one token on; -100 where padded) and `positions`,
    int64 of shape (rows, length)."""

    inputs: torch.Tensor
    targets: torch.Tensor
    positions: torch.Tensor


def join_units(parts: Sequence[Ids]) -> Ids:
    """One sequence from several; a unit that ends one part and begins the next is kept once."""
    whole = np.concatenate(parts) if parts else np.zeros(0, np.int64)
    if not len(whole):
        return whole
    kept: Ids = whole[np.concatenate([[True], whole[1:] != whole[:-1]])]
    return kept


class BatchSource:
    """Batches by step index: step i's batch depends on (corpus, seed, i) alone.

    Sequences are drawn with replacement, sorted by length within chunks, so that little is
    padding, and cut into batches of at most `tokens` tokens (padding included) in random order.
    A share `bos_share` of the sequences begins with BOS, the rest as TWIST reads them, without;
    all end with EOS. The rows of a share `shift_share` of the batches start at random positions
    instead of 0, so that every position up to `max_length` is learned. Longer sequences are cut at
    a random place. A share `noise` of the input units is replaced by random ones, the targets are
    not: what is learned by heart from few recordings helps less then.
    """

    def __init__(
        self,
        corpus: UnitCorpus,
        *,
        tokens: int,
        max_length: int,
        seed: int,
        bos_share: float = 0.2,
        shift_share: float = 0.25,
        noise: float = 0.0,
    ) -> None:
        self._corpus = corpus
        self._tokens = tokens
        self._max_length = max_length
        self._seed = seed
        self._bos_share = bos_share
        self._shift_share = shift_share
        self._noise = noise
        highest = [int(ids.max()) for ids in corpus.units.values() if len(ids)]
        self._highest = OFFSET + max(highest, default=0)
        self._first = 0  # step index of the chunk's first batch
        self._chunk = -1
        self._batches: list[list[tuple[str, ...]]] = []
        _check(corpus)

    def __getitem__(self, step: int) -> Batch:
        if step < self._first:
            self._first, self._chunk, self._batches = 0, -1, []
        while step >= self._first + len(self._batches):
            self._first += len(self._batches)
            self._chunk += 1
            self._batches = self._plan(self._chunk)
        rng = rng_of(self._seed, 1, step)
        rows = [self._row(rng, ids) for ids in self._batches[step - self._first]]
        longest = max(len(row) for row in rows) - 1
        inputs = np.full((len(rows), longest), PAD, np.int64)
        targets = np.full((len(rows), longest), _IGNORED, np.int64)
        for place, row in enumerate(rows):
            inputs[place, : len(row) - 1] = row[:-1]
            targets[place, : len(row) - 1] = row[1:]
        if self._noise:
            wrong = (inputs >= OFFSET) & (rng.random(inputs.shape) < self._noise)
            inputs[wrong] = rng.integers(OFFSET, self._highest + 1, int(wrong.sum()))
        shifts = np.zeros(len(rows), np.int64)
        if rng.random() < self._shift_share:
            shifts = rng.integers(0, self._max_length - longest + 1, len(rows))
        positions = shifts[:, None] + np.arange(longest)
        return Batch(*(torch.from_numpy(a) for a in (inputs, targets, positions)))

    def _plan(self, chunk: int) -> list[list[tuple[str, ...]]]:
        rng = rng_of(self._seed, 0, chunk)
        corpus = self._corpus
        share = corpus.story_share if corpus.singles else 1.0
        share = share if corpus.stories else 0.0
        drawn: list[tuple[str, ...]] = []
        for story in rng.random(_CHUNK) < share:
            if story:
                drawn.append(tuple(corpus.stories[int(rng.integers(len(corpus.stories)))]))
            else:
                drawn.append((corpus.singles[int(rng.integers(len(corpus.singles)))],))
        lengths = np.array([sum(len(corpus.units[i]) for i in ids) for ids in drawn])
        lengths = np.minimum(lengths + 2, self._max_length)
        batches: list[list[tuple[str, ...]]] = [[]]
        for place in np.argsort(lengths, kind="stable"):
            if batches[-1] and (len(batches[-1]) + 1) * lengths[place] > self._tokens:
                batches.append([])
            batches[-1].append(drawn[place])
        return [batches[i] for i in rng.permutation(len(batches))]

    def _row(self, rng: np.random.Generator, ids: tuple[str, ...]) -> Ids:
        body = join_units([self._corpus.units[i] for i in ids]) + OFFSET
        first = [BOS] if rng.random() < self._bos_share else []
        row = np.concatenate([np.array(first, np.int64), body, np.array([EOS])])
        spare = len(row) - (self._max_length + 1)  # inputs are one shorter than the row
        if spare > 0:
            start = int(rng.integers(0, spare + 1))
            row = row[start : start + self._max_length + 1]
        return row


def _check(corpus: UnitCorpus) -> None:
    if not corpus.stories and not corpus.singles:
        raise TrainingError("the unit corpus is empty: it names neither stories nor singles")
    used = {i for story in corpus.stories for i in story} | set(corpus.singles)
    missing = sorted(i for i in used if i not in corpus.units)
    if missing:
        raise TrainingError(
            f"{len(missing)} sequences of the unit corpus have no units, {missing[0]!r} for one"
        )
    if any(len(corpus.units[i]) == 0 for i in used):
        raise TrainingError("the unit corpus has empty sequences; leave them out")

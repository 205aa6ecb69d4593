"""Sequences of units as vectors: how often each unit and each frequent pair of units occurs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

BIGRAMS = 300


def unit_count_vectors(
    sequences: Sequence[Sequence[int]], *, bigrams: int = BIGRAMS
) -> NDArray[np.float64]:
    """(n, d): square roots of the shares of units and of the `bigrams` most frequent unit pairs.

    Shares, so that length is no cue, and roots, so that rare units count (Hellinger distance).
    Which pairs are counted is decided over all sequences together, whatever their label.
    """
    units = sorted({unit for sequence in sequences for unit in sequence})
    pairs = Counter(pair for sequence in sequences for pair in pairwise(sequence))
    frequent = sorted(pairs, key=lambda pair: (-pairs[pair], pair))[:bigrams]
    alone = {unit: number for number, unit in enumerate(units)}
    paired = {pair: len(units) + number for number, pair in enumerate(frequent)}
    counts = np.zeros((len(sequences), len(alone) + len(paired)))
    for row, sequence in enumerate(sequences):
        for unit in sequence:
            counts[row, alone[unit]] += 1 / len(sequence)
        for pair in pairwise(sequence):
            place = paired.get(pair)
            if place is not None:
                counts[row, place] += 1 / (len(sequence) - 1)
    return np.sqrt(counts)

"""What is being said at each frame, read off the phone times that a corpus carries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from orality.errors import CorpusError
from orality.pretraining.data import SAMPLE_RATE, Utterance

PAUSE = "pau"


def phone_inventory(speech: Sequence[Utterance]) -> list[str]:
    """The phone names of a corpus, sorted; CorpusError when an utterance carries none."""
    names: set[str] = {PAUSE}
    for utterance in speech:
        if not utterance.phones:
            raise CorpusError(
                f"{utterance.id} carries no phone times; train on targets 'mfcc' or 'encoder', "
                "which need no text"
            )
        names.update(name for name, _, _ in utterance.phones)
    return sorted(names)


def phones_at(
    utterance: Utterance, positions: NDArray[np.floating], inventory: Sequence[str]
) -> NDArray[np.int64]:
    """The phone at each position (in samples at 16 kHz, shape (n,)) as an index of the inventory.

    Before the first and after the last span there is silence. A phone that the inventory does not
    have raises CorpusError.
    """
    index = {name: i for i, name in enumerate(inventory)}
    try:
        ids = np.asarray([index[name] for name, _, _ in utterance.phones], np.int64)
    except KeyError as error:
        raise CorpusError(f"{utterance.id} holds the unknown phone {error}") from error
    ends = np.asarray([end for _, _, end in utterance.phones])
    seconds = np.asarray(positions, np.float64) / SAMPLE_RATE
    where = np.searchsorted(ends, seconds, side="right")
    labels = np.full(len(seconds), index[PAUSE], np.int64)
    inside = (where < len(ids)) & (seconds >= utterance.phones[0][1])
    labels[inside] = ids[where[inside]]
    return labels

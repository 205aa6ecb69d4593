"""What the `tiny` language model reads: stories recombined from spoken sentences, and singles."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from zlib import crc32

import numpy as np
import soxr

from orality.errors import CorpusError
from orality.pretraining.data import SAMPLE_RATE, Samples, Utterance
from orality.pretraining.stories.grammar import Pool, lines
from orality.pretraining.stories.joining import EDGE, trim
from orality.pretraining.stories.phones import PAUSE
from orality.pretraining.stories.speech import RATE
from orality.pretraining.stories.storage import Row, SpokenCorpus, read_corpus, sentence_id
from orality.pretraining.unit_lm.data import Ids, UnitCorpus

STORIES, SINGLES = 110_000, 60_000
# Words in a carrier, grammatical sentences, and story sentences read alone.
SHARES = (0.3, 0.6, 0.1)
STORY_SHARE = 0.2
_HOP = 640  # samples a frame
# How much faster or slower a sentence's second reading is.
_SPEED = 0.08
_SECOND = "@1"  # follows a sentence's id in that of its second reading


def story_corpus(
    units: Mapping[str, Ids],
    texts: Mapping[str, str],
    *,
    sentences: int,
    voice: str,
    stories: int = STORIES,
    seed: int = 0,
) -> UnitCorpus:
    """A corpus of `stories` stories, each a new combination of spoken training sentences.

    `units`: de-duplicated units by sentence id, second readings among them; `texts`: the text of
    every single sentence (those that are no story's) by id; `sentences`: how many story sentences
    were planned.
    """
    pool = Pool(lines(random.Random(seed), sentences, "train"))
    draw = random.Random(seed + 77)
    composed: set[tuple[str, ...]] = set()
    for _ in range(3 * stories):
        if len(composed) == stories:
            break
        try:
            story = pool.compose(draw)
        except CorpusError:  # so few lines that hardly any agree
            break
        ids = tuple(sentence_id(line.text, voice) for line in story.lines)
        if all(key in units for key in ids):
            composed.add(ids)
    parts = sorted({key for story_ids in composed for key in story_ids})
    known = [key for key in texts if key in units]
    words = [key for key in known if len(texts[key].split()) <= 3]
    grammatical = [key for key in known if len(texts[key].split()) > 3]

    def readings(key: str) -> list[str]:
        return [name for name in (key, key + _SECOND) if name in units]

    return UnitCorpus(
        units=units,
        stories=[tuple(draw.choice(readings(key)) for key in ids) for ids in sorted(composed)],
        singles=_mix(
            draw,
            [[n for key in keys for n in readings(key)] for keys in (words, grammatical, parts)],
        ),
        story_share=STORY_SHARE,
    )


def trimmed_speech(folder: Path) -> list[Utterance]:
    """The sentences of a corpus with as much silence at the edges as between joined sentences.

    Each comes in two readings, the second a little faster or slower: a model that has heard the
    same recording often enough knows it by heart.
    """
    corpus = read_corpus(folder)
    first = [
        Utterance(
            id=row["id"],
            length=_trimmed_length(row),
            read=partial(_trimmed, corpus, row),
            text=row["text"],
            voice=row["voice"],
        )
        for row in corpus.rows
    ]
    return [reading for item in first for reading in (item, _second_reading(item))]


def _second_reading(item: Utterance) -> Utterance:
    rng = np.random.default_rng(crc32(item.id.encode()))
    rate = round(SAMPLE_RATE * rng.uniform(1 - _SPEED, 1 + _SPEED))
    skipped = int(rng.integers(_HOP))  # so that frames begin elsewhere

    def read() -> Samples:
        changed = soxr.resample(item.read(), SAMPLE_RATE, rate)
        return np.ascontiguousarray(changed[skipped:], dtype=np.float32)

    length = round(item.length * rate / SAMPLE_RATE) - skipped
    return replace(item, id=item.id + _SECOND, length=length, read=read, phones=())


def _trimmed(corpus: SpokenCorpus, row: Row) -> Samples:
    return trim(corpus.part(row)).samples


def _trimmed_length(row: Row) -> int:
    """Samples that `trim` leaves, from the phones alone."""
    voiced = [(start, end) for name, start, end in row["phones"] if name != PAUSE]
    if not voiced:
        return int(row["length"])
    start = max(voiced[0][0] - EDGE, 0.0)
    end = min(voiced[-1][1] + EDGE, row["length"] / RATE)
    length: int = round(end * RATE) - round(start * RATE)
    return length


def _mix(draw: random.Random, kinds: Sequence[Sequence[str]]) -> list[str]:
    mixed: list[str] = []
    for kind, share in zip(kinds, SHARES, strict=True):
        if kind:
            mixed += draw.choices(kind, k=round(share * SINGLES))
    return mixed

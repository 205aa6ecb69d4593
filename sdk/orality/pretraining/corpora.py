"""Which speech each part of a stack learns from: synthetic stories, or a folder of recordings."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from zlib import crc32

from orality.audio import MAX_SECONDS
from orality.errors import CorpusError
from orality.pretraining.data import SAMPLE_RATE, Samples, Utterance, held_out, open_speech
from orality.pretraining.quantizer.encode import Ids
from orality.pretraining.recipe import PretrainRecipe
from orality.pretraining.unit_lm.data import UnitCorpus
from orality.progress import Progress

logger = logging.getLogger(__name__)

SHORTEST = 0.25  # seconds: what is shorter has no more than a handful of frames
LONGEST = 30.0  # seconds: the encoder's memory grows with the square of the length
HELD_OUT = 0.02  # of the texts


@dataclass(frozen=True, slots=True)
class Speech:
    """What each part learns from. `lm_corpus` turns de-duplicated units by utterance id into what
    the language model reads."""

    quantizer: Sequence[Utterance]
    quantizer_dev: Sequence[Utterance]
    language_model: Sequence[Utterance]
    vocoder: Sequence[Utterance]
    lm_corpus: Callable[[dict[str, Ids]], UnitCorpus]


def story_speech(recipe: PretrainRecipe, folder: Path, progress: Progress) -> Speech:
    """Speak the stories into `folder` (what is there is kept) and say what learns from what."""
    from orality.pretraining.stories.build import build_stories
    from orality.pretraining.stories.unit_corpus import STORIES, story_corpus, trimmed_speech

    options, voice = recipe.speech, recipe.speech.voices[0]
    made = build_stories(
        folder,
        num_sentences=options.sentences,
        voices=options.voices,
        seed=recipe.seed,
        progress=progress,
    )
    rows = map(json.loads, made.stories.read_text(encoding="utf-8").splitlines())
    single_ids = {
        row["sentences"][0] for row in rows if row["split"] == "train" and row["kind"] == "single"
    }
    main = open_speech(made.speech["train", voice])
    texts = {item.id: item.text or "" for item in main if item.id in single_ids}
    return Speech(
        quantizer=open_speech(
            *(path for (split, _), path in made.speech.items() if split == "train")
        ),
        quantizer_dev=open_speech(made.speech["dev", voice]),
        language_model=trimmed_speech(made.speech["train", voice]),
        vocoder=main,
        lm_corpus=lambda units: story_corpus(
            units,
            texts,
            sentences=options.sentences,
            voice=voice,
            stories=min(STORIES, 7 * options.sentences),
            seed=recipe.seed,
        ),
    )


def recorded_speech(recipe: PretrainRecipe) -> Speech:
    """A folder of recordings: all of it but the held-out texts, and one voice for the vocoder.

    Recordings above half a minute become several utterances; those below a quarter of a second
    and above an hour are named in the log and left out. Raises CorpusError when too little is
    left, or when nobody has the vocoder's voice.
    """
    speech = [part for item in open_speech(recipe.speech.corpus) for part in _pieces(item)]
    training, dev = _split(speech, recipe.speech.corpus)
    wanted = recipe.speech.vocoder_voice
    voice = [item for item in training if wanted in (None, item.voice)]
    if not voice:
        known = sorted({item.voice or "unknown" for item in training})
        raise CorpusError(
            f"no recording is of the voice {wanted!r} that the vocoder shall learn; voices are "
            f"{', '.join(known[:10])}"
        )
    return Speech(
        quantizer=training,
        quantizer_dev=dev,
        language_model=training,
        vocoder=voice,
        lm_corpus=lambda units: UnitCorpus(units=units, stories=[], singles=sorted(units)),
    )


def _split(speech: Sequence[Utterance], corpus: str) -> tuple[list[Utterance], list[Utterance]]:
    """(training, held-out): of a small corpus, whose texts may all miss the usual share, one."""
    if not speech:
        raise CorpusError(f"no recording in {corpus} lasts {SHORTEST} s to {MAX_SECONDS:.0f} s")
    ranks = (crc32((item.text or item.id).lower().encode()) % 10_000 for item in speech)
    return held_out(speech, max(HELD_OUT, (min(ranks) + 1) / 10_000))


def _pieces(item: Utterance) -> Iterator[Utterance]:
    seconds = item.length / SAMPLE_RATE
    if not SHORTEST <= seconds <= MAX_SECONDS:
        logger.warning("%s is left out: it lasts %.2f s", item.id, seconds)
        return
    count = math.ceil(seconds / LONGEST)
    if count == 1:
        yield item
        return
    edges = [round(item.length * number / count) for number in range(count + 1)]
    for number, (start, end) in enumerate(pairwise(edges)):
        yield Utterance(
            id=f"{item.id}#{number}",
            length=end - start,
            read=partial(_part, item.read, start, end),
            voice=item.voice,
        )


def _part(read: Callable[[], Samples], start: int, end: int) -> Samples:
    return _whole(read)[start:end]


@lru_cache(maxsize=1)  # neighbors are mostly read one after the other
def _whole(read: Callable[[], Samples]) -> Samples:
    return read()

"""What is spoken and what is trained on, decided by text before any speech is made."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from orality.errors import CorpusError
from orality.pretraining.stories.grammar import Line, Pool, Split, Story, lines
from orality.pretraining.stories.lexical import single_words, word_pairs, word_sentences
from orality.pretraining.stories.pairs import Pair, ending_pairs, grammatical_pairs

# The grammar's own sentences, those of many words, and stories, per story sentence in training.
_GRAMMAR_SHARE, _WORD_SHARE, _STORY_SHARE = 1.6, 0.3, 1.5
_DEV_STORIES = 300
# Beginnings tried in vain before a list of stories stays short.
_TRIES = 20_000
# Held-out lines to compose from: below the first there are too few that agree; the second nearly
# uses up the problems of the smallest split.
_FEWEST_LINES, _MOST_LINES = 1_000, 4_000


@dataclass(frozen=True, slots=True)
class Plan:
    """The texts of every split.

    `sentences` are the story sentences and `singles` the others; `stories` combine sentences of
    their own split only. `pairs` are made of held-out text.
    """

    sentences: dict[Split, list[str]]
    singles: dict[Split, list[str]]
    stories: dict[Split, list[Story]]
    pairs: list[Pair]

    def texts(self, split: Split) -> list[str]:
        """All different texts to speak for a split; pairs belong to "test"."""
        pairs = self.pairs if split == "test" else []
        spoken = (t for p in pairs for t in (*p.context, p.positive, p.negative))
        return list(dict.fromkeys([*self.sentences[split], *self.singles[split], *spoken]))


def split(
    seed: int = 0,
    *,
    sentences: int = 16_000,
    pairs: int = 600,
    prompts: int = 420,
    words: bool = True,
) -> Plan:
    """Everything the tiny stack is trained and tested on, from a seed.

    `sentences` story sentences for training (and 1.5 times as many stories made of them), `pairs`
    test pairs of each kind, `prompts` stories for alignment. `words=False` leaves out the word
    pairs, which need hibari-tts.
    """
    train = lines(random.Random(seed), sentences, "train")
    dev = min(sentences // 50, _DEV_STORIES)
    wanted: dict[Split, int] = {"dev": 14 * dev, "prompt": 10 * prompts, "test": 7 * pairs}
    held = {
        s: lines(random.Random(f"{seed}-{s}"), min(max(n, _FEWEST_LINES), _MOST_LINES), s)
        for s, n in wanted.items()
    }
    rng = random.Random(f"{seed}-stories")
    test_pool = Pool(held["test"])
    stories: dict[Split, list[Story]] = {
        "train": compose(rng, train, round(sentences * _STORY_SHARE)),
        "dev": compose(rng, held["dev"], dev),
        "prompt": compose(rng, held["prompt"], prompts, length=3),
        "test": [],
    }
    made = [
        *ending_pairs(rng, test_pool, pairs, "topic"),
        *ending_pairs(rng, test_pool, pairs, "story"),
        *grammatical_pairs(rng, pairs, "test"),
        *(word_pairs(random.Random(f"{seed}-words"), pairs, "test") if words else []),
    ]
    single = random.Random(f"{seed}-singles")
    return Plan(
        sentences={"train": [t.text for t in train], **{s: _texts(stories[s]) for s in _HELD_OUT}},
        singles={
            "train": _training_singles(single, sentences),
            "dev": [p.positive for p in grammatical_pairs(single, 200, "dev")]
            + single_words("dev"),
            "prompt": [],
            "test": [],
        },
        stories=stories,
        pairs=made,
    )


def training_texts(seed: int = 0, *, sentences: int = 16_000) -> list[str]:
    """All texts that the tiny stack is trained on, as `split` plans them but in less time."""
    single = random.Random(f"{seed}-singles")
    story = (t.text for t in lines(random.Random(seed), sentences, "train"))
    return list(dict.fromkeys([*story, *_training_singles(single, sentences)]))


def _training_singles(rng: random.Random, sentences: int) -> list[str]:
    grammar = round(sentences * _GRAMMAR_SHARE)
    return [
        *(p.positive for p in grammatical_pairs(rng, grammar, "train")),
        *word_sentences(rng, round(sentences * _WORD_SHARE), "train"),
        *single_words("train"),
    ]


_HELD_OUT: tuple[Split, ...] = ("dev", "prompt", "test")


def compose(rng: random.Random, pool: Iterable[Line], count: int, length: int = 5) -> list[Story]:
    """`count` different stories of `length` lines made of the lines, or as many as they give."""
    source = Pool(pool)
    found: dict[str, Story] = {}
    for _ in range(_TRIES + 5 * count):
        if len(found) == count:
            break
        try:
            story = source.compose(rng, length=length, tries=1)
        except CorpusError:
            # The beginning that was drawn has no end among these lines.
            continue
        found.setdefault(story.text, story)
    if not found and count:
        raise CorpusError("no story can be made of the sentences: ask for 600 or more")
    return list(found.values())


def _texts(stories: Iterable[Story]) -> list[str]:
    return list(dict.fromkeys(line.text for story in stories for line in story.lines))

"""Minimal pairs: held out, one fault each, and no cue beside it."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest

from orality.errors import CorpusError
from orality.pretraining.stories.grammar import Pool, lines, split_of
from orality.pretraining.stories.pairs import (
    PHENOMENA,
    Pair,
    ending_pairs,
    grammatical_pair,
    grammatical_pairs,
)
from orality.pretraining.stories.phrases import words
from orality.pretraining.stories.plan import Plan, split


@pytest.fixture(scope="module")
def pool() -> Pool:
    return Pool(lines(random.Random(0), 1500, "test"))


@pytest.fixture(scope="module")
def plan() -> Plan:
    return split(3, sentences=1500, pairs=60, prompts=30, words=False)


def _names(text: str) -> set[str]:
    return set(re.findall(r"[A-Z][a-z]+", text)) & set(words().names)


def test_every_phenomenon_changes_the_sentence_and_little_else() -> None:
    for name in PHENOMENA:
        for seed in range(50):
            pair = grammatical_pair(random.Random(seed), name)
            good, bad = pair.positive.lower().split(), pair.negative.lower().split()
            assert good != bad
            assert len(good) == len(bad)
            assert _names(pair.positive) == _names(pair.negative)


def test_five_hundred_grammatical_pairs_can_be_held_out() -> None:
    pairs = grammatical_pairs(random.Random(0), 600, "test")
    assert len({p.positive for p in pairs}) == 600
    assert {split_of(p.positive) for p in pairs} == {"test"}
    assert min(Counter(p.phenomenon for p in pairs).values()) >= 25


def test_no_training_sentence_is_ungrammatical() -> None:
    bad = {p.negative for p in grammatical_pairs(random.Random(0), 600, "test")}
    good = {p.positive for p in grammatical_pairs(random.Random(1), 3000, "train")}
    assert not bad & good


@pytest.mark.parametrize("kind", ["topic", "story"])
def test_wrong_endings_bring_no_new_name_and_no_cue_in_length(pool: Pool, kind: str) -> None:
    pairs = ending_pairs(random.Random(0), pool, 150, kind)  # type: ignore[arg-type]
    for pair in pairs:
        assert _names(pair.negative) == _names(pair.positive)
        assert abs(len(pair.negative.split()) - len(pair.positive.split())) <= 2
        assert split_of(pair.positive) == split_of(pair.negative) == "test"
    right, wrong = (
        sum(len(getattr(p, s).split()) for p in pairs) for s in ("positive", "negative")
    )
    assert right / wrong == pytest.approx(1.0, abs=0.04)


def test_hard_endings_stay_in_the_topic_and_easy_ones_leave_it(pool: Pool) -> None:
    topic_of = {c.text: c.topic for t in pool.topics for c in pool.lines(t, "end")}
    easy = ending_pairs(random.Random(0), pool, 60, "topic")
    hard = ending_pairs(random.Random(0), pool, 60, "story")
    assert all(topic_of[p.negative] != p.group == topic_of[p.positive] for p in easy)
    assert all(topic_of[p.negative] == p.group == topic_of[p.positive] for p in hard)
    assert {p.phenomenon for p in hard} == {"object", "gender"}


def test_too_small_a_pool_says_so() -> None:
    few = Pool(item for item in lines(random.Random(0), 400, "train") if item.topic == "sky")
    with pytest.raises(CorpusError, match="too small"):
        ending_pairs(random.Random(0), few, 20, "topic")


def test_no_text_is_in_two_splits(plan: Plan) -> None:
    texts = {s: set(plan.texts(s)) for s in ("train", "dev", "prompt", "test")}  # type: ignore[arg-type]
    for one in texts:
        for other in texts:
            assert one == other or not texts[one] & texts[other], (one, other)


def test_stories_are_made_of_the_sentences_that_are_spoken(plan: Plan) -> None:
    for part, stories in plan.stories.items():
        spoken = set(plan.texts(part))
        assert all(line.text in spoken for story in stories for line in story.lines)
    assert len({s.text for s in plan.stories["train"]}) == len(plan.stories["train"]) == 2250
    assert len(plan.stories["prompt"]) == 30


def test_pairs_are_as_many_as_asked_of_each_kind(plan: Plan) -> None:
    assert Counter(p.kind for p in plan.pairs) == {"topic": 60, "story": 60, "grammar": 60}


def test_word_pairs_are_one_phoneme_away_from_a_word_and_no_word() -> None:
    pytest.importorskip("hibari", reason="hibari-tts is not installed")
    from orality.pretraining.stories.lexical import _lexicon, plain, vocabulary, word_pairs
    from orality.pretraining.stories.phones import arpabet

    pairs = word_pairs(random.Random(0), 550, "test")
    assert len(pairs) == 550
    assert len({p.group for p in pairs}) > 300
    assert len({(p.positive, p.negative) for p in pairs}) == 550
    known = {plain(_lexicon().pronounce(w)) for w in vocabulary()}
    for pair in pairs:
        (sound,) = re.findall(r"\(/(.*)/\)", pair.negative)
        word, other = arpabet(_lexicon().pronounce(pair.group)), arpabet(sound)
        assert word != other
        assert plain(sound) not in known
        _assert_one_change(pair, word, other)


def _assert_one_change(pair: Pair, word: list[str], other: list[str]) -> None:
    # r-colored vowels span two symbols: a change next to one can show in two phones.
    changed = (
        sum(a != b for a, b in zip(word, other, strict=False)) if len(word) == len(other) else 1
    )
    assert changed <= 2, pair

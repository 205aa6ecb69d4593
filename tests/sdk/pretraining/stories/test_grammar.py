"""Stories: sentences of one split only, and lines that agree."""

from __future__ import annotations

import random
import re

import pytest

from orality.errors import CorpusError
from orality.pretraining.stories.grammar import SLOTS, Line, Pool, line, lines, split_of
from orality.pretraining.stories.phrases import singular_plural, topics, words


@pytest.fixture(scope="module")
def train() -> list[Line]:
    return lines(random.Random(0), 3000, "train")


def test_the_same_seed_gives_the_same_lines(train: list[Line]) -> None:
    assert lines(random.Random(0), 200, "train") == train[:200]
    assert lines(random.Random(1), 200, "train") != train[:200]


def test_a_sentence_is_in_one_split_whatever_its_case_and_punctuation() -> None:
    assert split_of("Tom found a kite.") == split_of("tom found a kite")
    texts = [line(random.Random(i), "open").text for i in range(2000)]
    shares = {
        s: sum(split_of(t) == s for t in texts) / 2000 for s in ("train", "dev", "prompt", "test")
    }
    assert shares["train"] == pytest.approx(0.88, abs=0.03)
    assert shares["test"] == pytest.approx(0.08, abs=0.02)
    assert sum(shares.values()) == pytest.approx(1.0)


def test_every_line_asked_for_is_of_the_split(train: list[Line]) -> None:
    assert {split_of(item.text) for item in train} == {"train"}
    assert len({item.text for item in train}) == 3000


def test_a_used_up_slot_does_not_block_the_others() -> None:
    few = lines(random.Random(0), 600, "prompt")
    assert len(few) == 600
    assert {item.slot for item in few} == set(SLOTS)


def test_stories_keep_hero_friend_object_and_problem(train: list[Line]) -> None:
    pool = Pool(train)
    for seed in range(200):
        story = pool.compose(random.Random(seed))
        assert [item.slot for item in story.lines] == list(SLOTS)
        for field in ("topic", "hero", "friend", "obj", "place", "problem", "girl"):
            assert len({getattr(i, field) for i in story.lines} - {None}) <= 1, story.text
        names = set(re.findall(r"[A-Z][a-z]+", story.text)) & set(words().names)
        assert story.hero in names
        assert len(names) <= 2
        wrong = {"he", "his", "him"} if story.hero in words().she else {"she", "her"}
        assert not wrong & set(re.findall(r"[a-z]+", story.text.lower()))


def test_lines_about_different_heroes_do_not_agree() -> None:
    topic = topics()[0]
    heroes = {line(random.Random(i), "open", topic).hero: i for i in range(60)}
    first, second = (line(random.Random(heroes[n]), "open", topic) for n in ("Tom", "Anna"))
    assert first.agrees(first)
    assert not first.agrees(second)


def test_composing_from_too_few_lines_says_so() -> None:
    only = [line(random.Random(0), "open")]
    with pytest.raises(CorpusError, match="make more lines"):
        Pool(only).compose(random.Random(0))


def test_the_vocabulary_is_closed_and_common(train: list[Line]) -> None:
    used = {w for item in train for w in re.findall(r"[a-z']+", item.text.lower())}
    assert 450 < len(used) < 750


def test_articles_fit_the_word_that_follows(train: list[Line]) -> None:
    text = " ".join(item.text for item in train)
    assert not re.search(r"\ba [aeiou]", text)
    assert not re.search(r"\ban [^aeiou]", text)
    assert "{" not in text


def test_plurals_are_the_second_half_of_an_entry() -> None:
    assert singular_plural("paper plane paper planes") == ("paper plane", "paper planes")
    assert singular_plural("deer deer") == ("deer", "deer")

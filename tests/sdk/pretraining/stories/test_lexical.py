"""Words in carriers: every word is heard in training, never in the carrier of its test."""

from __future__ import annotations

import random
import re

from orality.pretraining.stories.grammar import split_of
from orality.pretraining.stories.lexical import (
    carriers,
    inflected,
    single_words,
    spell,
    vocabulary,
    word_sentences,
)


def test_no_carrier_of_a_word_is_in_two_splits() -> None:
    for word, kind in vocabulary().items():
        parts = [carriers(word, kind, s) for s in ("train", "dev", "test")]
        assert [len(p) for p in parts[1:]] == [1, 1]
        assert len(parts[0]) >= 12
        assert len(set().union(*parts)) == sum(len(p) for p in parts)


def test_single_words_of_the_splits_do_not_overlap_but_share_the_vocabulary() -> None:
    train, test = set(single_words("train")), set(single_words("test"))
    assert not train & test
    assert "Kite." in train
    assert len(test) == len(vocabulary()) > 350


def test_sentences_of_many_words_are_of_their_split_and_read_well() -> None:
    texts = word_sentences(random.Random(0), 200, "train")
    assert len(set(texts)) == 200
    assert all(split_of(text) == "train" for text in texts)
    assert not any(re.search(r"\ba [aeiou]", text, re.IGNORECASE) for text in texts)


def test_a_non_word_is_spelled_to_be_read() -> None:
    assert spell("kˈIp") == "kighp"
    assert spell("ʃˈʌb") == "shub"


def test_regular_forms_follow_the_last_sound() -> None:
    assert inflected("wɑʃ") == ("wɑʃɪz", "wɑʃt")
    assert inflected("kIt") == ("kIts", "kItɪd")
    assert inflected("ɹOl") == ("ɹOlz", "ɹOld")

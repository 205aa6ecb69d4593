"""Words in carriers: every word is heard in training, never in the carrier of its test."""

from __future__ import annotations

from orality.pretraining.stories.lexical import carriers, inflected, single_words, spell, vocabulary


def test_no_carrier_of_a_word_is_in_two_splits() -> None:
    for word, kind in vocabulary().items():
        parts = [carriers(word, kind, s) for s in ("train", "dev", "test")]
        assert [len(p) for p in parts] == [4, 1, 1]
        assert len(set().union(*parts)) == 6


def test_single_words_of_the_splits_do_not_overlap_but_share_the_vocabulary() -> None:
    train, test = set(single_words("train")), set(single_words("test"))
    assert not train & test
    assert "Kite." in train
    assert len(test) == len(vocabulary()) > 350


def test_a_non_word_is_spelled_to_be_read() -> None:
    assert spell("kˈIp") == "kighp"
    assert spell("ʃˈʌb") == "shub"


def test_regular_forms_follow_the_last_sound() -> None:
    assert inflected("wɑʃ") == ("wɑʃɪz", "wɑʃt")
    assert inflected("kIt") == ("kIts", "kItɪd")
    assert inflected("ɹOl") == ("ɹOlz", "ɹOld")

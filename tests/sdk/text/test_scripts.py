import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orality.evaluation import gslm_auto_bleu, self_bleu, word_error_rate
from orality.evaluation.metrics.wer import normalize_english
from orality.feedback import auto_bleu
from orality.text.languages import is_same, primary
from orality.text.scripts import close_up, has_spaces, join, tokens, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Hello, dear world!", ["Hello,", "dear", "world!"]),
        ("今天很好。", ["今", "天", "很", "好", "。"]),
        ("我用 iPhone15拍照", ["我", "用", "iPhone15", "拍", "照"]),
        ("東京タワー", ["東", "京", "タ", "ワ", "ー"]),
        ("ดีมาก", ["ดี", "ม", "า", "ก"]),
        ("ខ្មែរ", ["ខ្មែ", "រ"]),
        ("ລາວດີ", ["ລ", "າ", "ວ", "ດີ"]),
        ("မြန်မာ", ["မြ", "န်", "မာ"]),
        ("안녕 세상", ["안녕", "세상"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("ไป\u200bกิน", ["ไ", "ป", "กิ", "น"]),
    ],
    ids=["en", "zh", "mixed", "ja", "th", "km", "lo", "my", "ko", "hi", "zero-width"],
)
def test_words_stay_whole_where_there_are_spaces_and_characters_keep_their_marks(text, found):
    assert tokens(text) == found


def test_decomposed_and_composed_letters_are_one_token():
    assert words("Café") == words(unicodedata.normalize("NFD", "café")) == ["café"]


@given(st.text())
def test_tokens_hold_all_of_a_text_but_its_spaces(text):
    composed = unicodedata.normalize("NFC", text).replace("\u200b", "").replace("\ufeff", "")
    assert "".join(tokens(text)) == "".join(composed.split())


@given(st.lists(st.text("abcdef'", min_size=1), min_size=1))
def test_latin_texts_are_split_at_white_space_and_nowhere_else(parts):
    assert tokens(" ".join(parts)) == parts


@pytest.mark.parametrize("unit", ["我去了", "今日は", "ไปไหน", "ខ្មែរ", "ລາວ", "မြန်မာ"])
def test_a_loop_is_repetition_in_scripts_without_spaces(unit):
    assert auto_bleu(unit * 5) == 1.0
    assert gslm_auto_bleu(unit * 5) > 0.8
    assert self_bleu([unit * 2, unit * 2]) == pytest.approx(1.0)


def test_auto_bleu_counts_bigrams_of_characters():
    # 我去 去了 了我 我去 去来: of five, two are 我去.
    assert auto_bleu("我去了我去来") == pytest.approx(2 / 5)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "errors", "length"),
    [
        ("我去了", "我来了", 1, 3),
        ("今日 は", "今日は", 0, 3),
        ("ดีมาก", "ดมาก", 1, 4),  # the vowel sign makes another letter
        ("안녕 세상", "안녕 세계", 1, 2),
        ("我用 iPhone", "我用iPad", 1, 3),
        ("it weighs 3.5 pounds", "it weighs 35 pounds", 1, 4),
        ("3,5 kilos", "35 kilos", 1, 2),
        ("at 10:40", "at 1040", 2, 3),
        ("1/2", "12", 2, 2),
        ("½", "12", 2, 2),
        ("-5 degrees", "5 degrees", 1, 2),
        (".5", "5", 1, 1),
        ("3,5", "3.5", 0, 1),
        ("1,000 miles.", "1000 miles", 0, 2),
        ("version 1.2.3", "version 1.2.3.", 0, 2),
        ("the U.S.", "the us", 0, 2),
        ("well-known", "well known", 0, 2),
    ],
)
def test_word_errors_by_script_and_number(reference, hypothesis, errors, length):
    rate = word_error_rate([reference], [hypothesis])
    assert (rate.errors, rate.tokens) == (errors, length)


@given(st.text("abc déf’'", max_size=20))
def test_normalizing_twice_changes_nothing(text):
    assert normalize_english(normalize_english(text)) == normalize_english(text)


def test_texts_join_with_a_space_only_where_their_scripts_have_one():
    assert join("我去了", "他来") == "我去了他来"
    assert join("my blue", " kite ") == "my blue kite"
    assert join("我用", "iPhone") == "我用 iPhone"
    assert close_up("我 去 了 ok") == "我去了 ok"


@pytest.mark.parametrize(
    ("name", "code"),
    [("en-US", "en"), ("eng", "en"), ("English", "en"), ("zh_Hant_TW", "zh"), ("cmn", "zh"),
     ("deu", "de"), (" PL ", "pl"), ("tlh", "tlh")],
)  # fmt: skip
def test_a_language_goes_by_many_names(name, code):
    assert primary(name) == code
    assert is_same(name, code)


def test_which_languages_have_spaces():
    assert [c for c in ("en", "ko", "zh-CN", "yue", "ja", "th", "khm", "vi") if has_spaces(c)] == [
        "en", "ko", "vi",
    ]  # fmt: skip

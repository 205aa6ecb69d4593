from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orality import JudgeError
from orality.judging import Rubric, encode_transcripts, load_rubric


@given(st.text(), st.text())
def test_transcripts_come_back_and_never_leave_their_line(beginning, continuation):
    line = encode_transcripts(beginning, continuation, max_characters=4000)
    assert json.loads(line) == {"beginning": beginning, "continuation": continuation}
    assert len(line.splitlines()) == 1
    assert not set("<>[]|&`") & set(line)
    assert line.count("{") == line.count("}") == 1


def test_half_a_surrogate_pair_can_be_sent():
    line = encode_transcripts("a\ud800b", "c", max_characters=4000)
    assert json.loads(line.encode())["beginning"] == "a?b"


def test_long_transcripts_are_cut():
    fields = json.loads(encode_transcripts("once upon a time", "there was", max_characters=5))
    assert fields == {"beginning": " time", "continuation": "there"}


def test_the_shipped_rubric_names_all_grades_and_the_nonce():
    text = load_rubric(None, answer="a digit").render(nonce="n0nce", language="de")
    assert all(f"{grade} - " in text for grade in range(1, 6))
    for words in ("n0nce", "Answer with a digit", "spoken: de"):
        assert words in text


@pytest.mark.parametrize(
    "text", ["{{ transcript }}", "{% if %}", "{{ nonce.__class__.__mro__ }}", "{% for x in %}"]
)
def test_a_rubric_that_is_no_such_template_is_refused(text):
    with pytest.raises(JudgeError, match="nonce, language and answer"):
        Rubric(text, answer="a digit")


def test_a_rubric_that_is_not_there_is_named(tmp_path):
    with pytest.raises(JudgeError, match="nowhere"):
        load_rubric(tmp_path / "nowhere.txt", answer="a digit")

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orality.cli.naming import folder_name, shown
from orality.evaluation.markdown import escape
from orality.feedback.cutting import file_name
from orality.untrusted.escaping import csv_cell, for_terminal


@given(st.text())
def test_nothing_steers_a_terminal(text: str) -> None:
    written = for_terminal(text)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", written)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
        ("a\u202eb", r"a\u202eb"),
        ("one\ttwo\nthree é 好", "one\ttwo\nthree é 好"),
        ("a\rb", r"a\rb"),
    ],
)
def test_control_characters_are_written_out(text: str, shown: str) -> None:
    assert for_terminal(text) == shown


@pytest.mark.parametrize("text", ["=1+1", "+x", "-x", "@SUM(A1)", "\t=1", "\r=1", " =1", "\uff1d1"])
def test_formulas_become_text(text: str) -> None:
    buffer = io.StringIO()
    csv.writer(buffer).writerow([csv_cell(text)])
    assert next(csv.reader(io.StringIO(buffer.getvalue(), newline=""))) == ["'" + text]


@pytest.mark.parametrize("value", ["-0.5", "+1e-3", -2, 0.5, None, "a=b", "tiny", ""])
def test_numbers_and_words_stay(value: object) -> None:
    assert csv_cell(value) == value


@pytest.mark.parametrize("text", ["[a](http://b)", "![x](http://b/x.png)", "<http://b>", "@all"])
def test_markdown_holds_no_link_image_or_mention(text: str) -> None:
    assert not re.search(r"(?<!\\)[\[\]]|://|<|@", escape(text))


def test_brackets_are_no_markup_of_rich() -> None:
    from rich.text import Text

    assert Text.from_markup(shown("x[/b]y [link=http://a]b[/link]")).plain == (
        "x[/b]y [link=http://a]b[/link]"
    )


@pytest.mark.parametrize("name", ["/tmp/x", "../..", "..", ".", "", "a/../../b", "x\x00y", ".git"])
def test_a_recipes_name_is_one_folder_that_is_not_hidden(name: str) -> None:
    folder = folder_name(name)
    assert folder
    assert not re.search(r"^\.|[/\\\x00]", folder)
    assert folder_name("tiny-table1.b") == "tiny-table1.b"


@given(st.text(min_size=1), st.text(min_size=1))
def test_file_names_fit_in_bytes_and_tell_ids_apart(one: str, other: str) -> None:
    one, other = ("".join(c for c in text if c.isprintable()) for text in (one, other))
    for text in (one * 90, other):
        assert len(f".{file_name(text)}.flac.01234567".encode()) <= 255
    if one.lower() != other.lower():
        assert file_name(one) != file_name(other)

from __future__ import annotations

import json

import pytest

from orality import CorpusError
from orality.corpus.alignments import Alignments
from orality.corpus.times import checked
from orality.types import Word


def words(alignments, name):
    return checked(alignments.find(name), name)


def test_librispeech_s_condensed_form_states_the_ends(tmp_path):
    (tmp_path / "84-121.alignment.txt").write_text(
        '84-121-0000 ",GO,,DO,YOU" "0.5,1.25,1.5,2,2.75"\n'
    )
    assert words(Alignments(tmp_path), "84-121-0000") == (
        Word("GO", 0.5, 1.25), Word("DO", 1.5, 2.0), Word("YOU", 2.0, 2.75)
    )  # fmt: skip


def test_a_ctm_states_starts_and_lengths_in_any_order(tmp_path):
    (tmp_path / "all.ctm").write_text(
        ";; a comment\nb 1 1.5 0.5 there 0.9\nb 1 0.25 0.75 who\na 1 0 1 <eps>\n"
    )
    known = Alignments(tmp_path)
    assert words(known, "b") == (Word("who", 0.25, 1.0), Word("there", 1.5, 2.0))
    assert words(known, "a") == words(known, "unknown") == ()


def test_json_and_textgrid_are_found_by_their_names_at_any_depth(tmp_path):
    deep = tmp_path / "x" / "y"
    deep.mkdir(parents=True)
    (deep / "one.json").write_text(json.dumps({"aligned_text": [["hi", 0, 0.5], ["", 0.5, 1]]}))
    (deep / "two.TextGrid").write_text(
        '"ooTextFile" "TextGrid" 0 1 <exists> 1 "IntervalTier" "word" 0 1 1 0 1 "sil"'
    )
    (deep / "other.json").write_text("{}")
    known = Alignments(tmp_path)
    assert words(known, "one") == (Word("hi", 0.0, 0.5),)
    assert words(known, "two") == words(known, "other") == ()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.alignment.txt", 'u "A,B" "1.0"', "line 1 has 2 words and 1 times"),
        ("a.alignment.txt", 'u "A" "soon"', "line 1: could not convert"),
        ("a.alignment.txt", "u A 1.0", "line 1 is no line of the form"),
        ("a.ctm", "u 1 0.5 word", "line 1 has 4 fields"),
        ("u.json", '{"aligned_text": [["hi", 0]]}', "u.json is no alignment"),
        ("u.json", "{", "u.json cannot be read as JSON"),
    ],
)
def test_a_malformed_alignment_is_named(tmp_path, name, content, said):
    (tmp_path / name).write_text(content)
    with pytest.raises(CorpusError, match=said):
        words(Alignments(tmp_path), "u")

from __future__ import annotations

import pytest

from orality import CorpusError
from orality.corpus.textgrid import MOST_BYTES, read_textgrid
from orality.types import Word

LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 2.5
tiers? <exists>
size = 3
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 2.5
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.4
            text = ""
        intervals [2]:
            xmin = 0.4
            xmax = 1
            text = "it's"
        intervals [3]:
            xmin = 1
            xmax = 2.5
            text = "3 o""clock [sic]"
    item [2]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 2.5
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 2.5
            text = "AH0"
    item [3]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 2.5
        points: size = 1
        points [1]:
            number = 1.5
            mark = "click"
"""
SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
2.5
<exists>
1
"IntervalTier"
"anna - Words"
0
2.5
2
0
0.4
""
0.4
1e0
"it's"
"""
WORDS = [Word("it's", 0.4, 1.0), Word('3 o"clock [sic]', 1.0, 2.5)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_long_form_gives_the_words_and_their_times(tmp_path, encoding):
    path = tmp_path / "a.TextGrid"
    path.write_bytes(LONG.encode(encoding))
    assert read_textgrid(path) == WORDS


def test_the_short_form_and_a_speaker_s_tier_are_read(tmp_path):
    path = tmp_path / "a.TextGrid"
    path.write_text(SHORT)
    assert read_textgrid(path) == WORDS[:1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (LONG[:400], "no whole TextGrid"),
        (LONG.replace("size = 3\nitem", "size = 1e999\nitem"), "no whole TextGrid"),
        ("words", "no whole TextGrid"),
        (LONG.replace('"words"', '"utterances"'), "tiers of intervals: 'utterances', 'phones'"),
        (LONG.replace('text = "AH0"', ""), "no whole TextGrid"),
        ('"ooTextFile" "TextGrid" 0 1 <absent>', "tiers of intervals: none"),
        ("x" * (MOST_BYTES + 1), "has over 5,000,000 bytes"),
    ],
)
def test_what_is_no_textgrid_is_named(tmp_path, content, said):
    path = tmp_path / "a.TextGrid"
    path.write_text(content)
    with pytest.raises(CorpusError, match=said) as caught:
        read_textgrid(path)
    assert str(path) in str(caught.value)

"""What a model says, or a recipe is called, stays text in a card."""

from __future__ import annotations

import shutil

import pytest
import yaml
from huggingface_hub import DatasetCard, ModelCard
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from orality.sharing import push
from orality.sharing.markdown import code, fenced, front_matter, neutral

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![x](https://evil.example/pixel.png)",
    "[click](javascript:alert(1))",
    "see https://evil.example or www.evil.example or me@evil.example",
    "| a | b |\n|---|---|\n| c | d |",
    "```\n# gone\n```",
    "``` <b>x</b>",
    "\n---\nlicense: mit\n---\n# Title",
    "\n\n# A heading\n\n- a list",
    "</details><h1>out</h1>",
    "*bold* _it_ **b** ~~s~~ $x^2$ `code`",
    "a\u202eb\u200bc\x00d\x1b[31m",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;script&gt; &#60;b&#62;",
    "\\*not\\* \\",
]
TEXT = {"inline", "paragraph_close", "paragraph_open", "text", "text_special"}
OURS = {"<details><summary>The recipe</summary>", "</details>"}


def tokens(text):
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    for token in parser.parse(text):
        yield token
        yield from token.children or []


def shapes(text):
    return sorted({token.type for token in tokens(text)})


@pytest.mark.parametrize("text", HOSTILE)
def test_a_value_is_one_line_of_text(text):
    shown = neutral(text)
    assert set(shapes(f"Said: {shown}")) <= TEXT
    assert "://" not in shown
    row = f"| a | b |\n|--|--|\n| {shown} | x |\n"
    cells = [token for token in tokens(row) if token.type == "td_open"]
    assert len(cells) == 2


@given(st.text(max_size=80))
def test_any_text_is_one_line_of_text(text):
    assert set(shapes(f"Said: {neutral(text)}.")) <= TEXT


@given(st.text(max_size=80))
def test_any_text_is_shown_as_it_is_but_for_space_and_controls(text):
    shown = "".join(
        token.content for token in tokens(f"x{neutral(text)}x")
        if token.type in {"text", "text_special"}
    )  # fmt: skip
    visible = "".join(c for c in text if c.isprintable() and not c.isspace())
    assert "".join(c for c in shown if c.isprintable() and not c.isspace()) == f"x{visible}x"


@given(st.text(max_size=60))
def test_any_text_can_be_code_in_a_cell(text):
    row = f"| a | b |\n|--|--|\n| {code(text)} | x |\n"
    found = list(tokens(row))
    assert sum(token.type == "td_open" for token in found) == 2
    assert not {"html_inline", "html_block", "link_open", "image"} & {t.type for t in found}


@given(st.text(max_size=120))
def test_any_text_can_be_a_block_of_code(text):
    found = [token.type for token in tokens(f"a\n\n{fenced(text, 'yaml')}\n\nb\n")]
    assert found.count("fence") == 1
    assert found.count("paragraph_open") == 2


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=60), max_size=4))
def test_any_metadata_stays_between_its_marks(metadata):
    text = f"{front_matter({'license': 'mit', 'more': metadata})}\n\n# Title\n"
    assert text.count("\n---\n") == 1
    assert yaml.safe_load(text.split("\n---\n")[0].removeprefix("---\n"))["license"] == "mit"


@pytest.mark.parametrize("text", HOSTILE)
def test_cards_of_a_hostile_run_hold_nothing_but_text(run, write_texts, tmp_path, text):
    for stage in ("prompts", "round-1", "round-2"):
        for part in ("", "transcripts", "continuations", "speech", "pairs"):
            for path in (run / stage / part).glob("*.parquet"):
                path.unlink()
    write_texts(run, text)
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    recipe |= {"name": text, "description": text, "language": text}
    recipe["judge"] = {"name": text, "checkpoint": text}
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    push(run, tmp_path / "out")
    cards = [tmp_path / "out" / "README.md", tmp_path / "out" / "preferences" / "README.md"]
    for path, kind in zip(cards, (ModelCard, DatasetCard), strict=True):
        assert kind.load(path).data.license == "unknown"
        body = path.read_text().split("\n---\n", 1)[1]
        found = list(tokens(body))
        html = [token for token in found if token.type in {"html_inline", "html_block"}]
        assert {token.content.strip() for token in html} <= OURS
        assert not {"link_open", "image"} & {token.type for token in found}
        assert sum(token.type == "fence" for token in found) == 2  # the example, the recipe
        assert [token.tag for token in found if token.type == "heading_open"][:1] == ["h1"]
        assert [token.tag for token in found if token.type == "heading_open"].count("h1") == 1
    shutil.rmtree(tmp_path / "out")

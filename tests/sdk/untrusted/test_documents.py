"""JSON and YAML of any size, depth and encoding: read, or refused by one error that names it."""

from __future__ import annotations

import json
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orality import RecipeError, StoreError
from orality.untrusted.documents import (
    MOST_LEVELS,
    load_json,
    load_yaml,
    read_json,
    read_text,
    read_yaml,
)

# PyYAML folds the line break U+0085 that it writes itself.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\x85"))
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=20,
)


@given(plain)
def test_plain_data_comes_back_from_either_form(value):
    assert load_json(json.dumps(value), "x", StoreError) == value
    assert load_yaml(yaml.safe_dump(value, allow_unicode=True), "x", StoreError) == value


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_says_what_a_text_is_written_in(tmp_path, encoding):
    path = tmp_path / "a.txt"
    path.write_bytes("Grüße, 你好".encode(encoding))
    assert read_text(path, StoreError) == "Grüße, 你好"


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16-le", "cp1252"])
def test_another_encoding_is_refused_rather_than_guessed(tmp_path, encoding):
    path = tmp_path / "a.txt"
    path.write_bytes("Grüße".encode(encoding))
    with pytest.raises(StoreError, match=r"a\.txt .*save it as UTF-8"):
        read_text(path, StoreError)


def test_a_file_of_any_size_is_read_up_to_its_bound(tmp_path):
    path = tmp_path / "a.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse: no disk could hold it
    with pytest.raises(StoreError, match="over 67,108,864 bytes"):
        read_json(path, StoreError)


@pytest.mark.parametrize("brackets", ["[" * 100_000, "[" * 5000 + "]" * 5000, '{"a":' * 100_000])
def test_brackets_without_end_are_refused(brackets):
    with pytest.raises(StoreError, match="nested|maximum recursion"):
        load_json(brackets, "deep.json", StoreError)


def test_nesting_is_allowed_up_to_a_hundred_levels():
    assert load_json("[" * MOST_LEVELS + "]" * MOST_LEVELS, "x", StoreError)
    with pytest.raises(StoreError, match="more than 100 levels"):
        load_json("[" * (MOST_LEVELS + 1) + "]" * (MOST_LEVELS + 1), "x", StoreError)
    with pytest.raises(StoreError, match="more than 100 levels"):
        load_yaml("[" * 200 + "]" * 200, "x", StoreError)


def test_brackets_of_a_text_count_for_nothing():
    assert load_json(json.dumps("[" * 500), "x", StoreError) == "[" * 500


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 2024-13-45", "month must be in"),
        ("a: " + "1" * 5000, "digits"),
        ("a: [" * 3000, "more than 100 levels"),
        ("- " * 3000 + "x", "more than 100 levels"),
        ("a: &a [*a]", "holds itself"),
        ("a: 1\nb: 2\na: 3", "'a' twice, in lines 1 and 3"),
        ("a:\n  b: 1\n  'b': 2", "'b' twice, in lines 2 and 3"),
        ("a: !!python/object/apply:os.system [x]", "plain YAML"),
        ("a: {[1]: 2}", "plain YAML"),
        ("a: \t- b", "plain YAML"),
    ],
)
def test_what_is_wrong_with_yaml_is_said_with_its_name(tmp_path, text, said):
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=said) as error:
        read_yaml(path, RecipeError)
    assert "r.yaml" in str(error.value)


def test_anchors_that_unfold_to_millions_are_refused_at_once():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    begun = time.process_time()
    with pytest.raises(RecipeError, match="unfolds to more than 200,000 values"):
        load_yaml("\n".join(lines), "bomb", RecipeError)
    assert time.process_time() - begun < 5


def test_honest_anchors_and_merges_are_read():
    text = "base: &base {a: 1, b: 2}\nmine:\n  <<: *base\n  b: 3\n"
    assert load_yaml(text, "x", RecipeError)["mine"] == {"a": 1, "b": 3}

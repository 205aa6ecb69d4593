"""Addresses lose what they are signed with before anything of them is written down."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orality import Recipe
from orality.untrusted.addresses import public, public_address
from orality.weights import Checkpoint, Url

DIGEST = "ab" * 32


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://h.org/m.bin?sig=s3cr3t", "https://h.org/m.bin"),
        (f"https://h.org/m.bin?sig=s3cr3t#sha256={DIGEST}", f"https://h.org/m.bin#sha256={DIGEST}"),
        ("https://me:s3cr3t@h.org:81/v1", "https://h.org:81/v1"),
        ("s3://me:s3cr3t@bucket/key?x=s3cr3t", "s3://bucket/key"),
        ("http://[s3cr3t?s3cr3t", "http://[s3cr3t"),
        ("a question? yes#no", "a question? yes#no"),
        ("hub:a/b@c", "hub:a/b@c"),
        ("../folder?x", "../folder?x"),
    ],
)
def test_an_address_is_shown_without_user_query_and_fragment(text, shown):
    assert public_address(text) == shown


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_all_else_is_left_as_it_is(value):
    assert public(value) == value or "://" in str(value)


def test_a_recipe_s_signature_is_in_no_run_and_changes_no_run():
    data = Recipe.load("toy").model_dump()
    signed = [
        Recipe.parse(
            data | {"slm": {"name": "twist", "checkpoint": f"https://h.org/m?sig={key}#sha256=0"}}
        )
        for key in ("one-s3cr3t", "two-s3cr3t")
    ]
    assert signed[0].fingerprint == signed[1].fingerprint
    assert "s3cr3t" not in signed[0].dump()
    workers = yaml.safe_load(signed[0].dump(secrets=True))
    assert workers["slm"]["checkpoint"].endswith("?sig=one-s3cr3t#sha256=0")


def test_a_checkpoint_is_cached_under_one_name_whatever_it_is_signed_with():
    keys = {
        Checkpoint("m", (Url(f"https://h.org/m.bin?sig={key}", DIGEST),)).key for key in ("a", "b")
    }
    assert len(keys) == 1

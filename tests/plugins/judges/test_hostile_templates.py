"""Chat templates that do not end, take all memory or fail: each ends in one error."""

from __future__ import annotations

import resource
import sys
import time
from types import SimpleNamespace

import jinja2.sandbox
import pytest

from orality import CheckpointError
from orality_judge_likert import frame
from orality_judge_likert.bounded import Endless, bounded


def tokenizer(template):
    """What `apply_chat_template` is, without the rest of transformers."""

    def render(messages, *, tokenize, **settings):
        made = jinja2.sandbox.ImmutableSandboxedEnvironment().from_string(template)
        return made.render(messages=messages, **settings)

    return SimpleNamespace(apply_chat_template=render)


MESSAGES = [{"role": "user", "content": "rate this"}]
LOOP = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (LOOP, "more than 0.3 s"),
        ("{{ 'a' * 3000000000 }}", "too much memory"),
        ("{{ 'a' * 200000 }}", "200,000 characters"),
        ("{{ 1 // 0 }}", "ZeroDivisionError"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "RecursionError|more than 0.3 s"),
        ("{{ 2.0 ** 99999 }}", "OverflowError"),
    ],
)
def test_a_template_that_goes_wrong_is_named(monkeypatch, template, said):
    monkeypatch.setattr(frame, "bounded", lambda: bounded(0.3))
    monkeypatch.setattr(frame, "SECONDS", 0.3)
    begun = time.process_time()
    with pytest.raises(CheckpointError, match=said):
        frame._ask(tokenizer(template), MESSAGES)
    assert time.process_time() - begun < 10


def test_a_template_that_refuses_a_role_is_asked_without_it():
    assert frame._ask(tokenizer("{{ nothing.at.all }}"), MESSAGES) == ""


def test_an_honest_template_is_rendered_and_no_limit_stays():
    before = (sys.gettrace(), resource.getrlimit(resource.RLIMIT_AS))
    text = frame._ask(tokenizer("[{{ messages[0].role }}] {{ messages[0].content }}"), MESSAGES)
    assert text == "[user] rate this"
    assert (sys.gettrace(), resource.getrlimit(resource.RLIMIT_AS)) == before


def test_time_is_bounded_for_python_alone():
    def forever():
        while True:
            pass

    with pytest.raises(Endless), bounded(0.05):
        forever()

"""Verdicts tell what their answers cost, in dollars, wherever they are used again."""

from __future__ import annotations

import pytest
from fake_servers import build, completion

from orality import JudgeRequest

PRICE = {"input": 2.0, "output": 10.0}
EACH = (400 * 2.0 + 12 * 10.0) / 1e6  # dollars: the fake counts 400 tokens in and 12 out


def requests(*texts):
    return [JudgeRequest(prompt_text="tom lost his kite", continuation_text=text) for text in texts]


def costs(server, *texts, **options):
    judge = build("openai-compatible", server, **options)
    return [verdict.dollars for verdict in judge.score(requests(*texts))]


def test_a_verdict_tells_what_its_answer_cost(server):
    assert costs(server, "he ran", "she ran", price=PRICE) == pytest.approx([EACH, EACH])
    assert server.calls == 2


def test_an_answer_that_is_known_keeps_what_it_cost_when_it_was_paid_for(server):
    costs(server, "he ran", price=PRICE)
    cheaper = {"input": 1.0, "output": 1.0}
    assert costs(server, "he ran", price=cheaper) == pytest.approx([EACH])
    assert costs(server, "he ran") == pytest.approx([EACH])
    assert server.calls == 1


def test_equal_questions_each_show_the_one_answer_s_cost(server):
    assert costs(server, "he ran", "he ran", price=PRICE) == pytest.approx([EACH, EACH])
    assert server.calls == 1


def test_nothing_is_said_where_nothing_was_paid(server):
    assert costs(server, "he ran", "") == [None, None]  # no price is known; silence asks nothing


def test_a_refusal_is_paid_for_too(server):
    server.respond = lambda request: completion("I will not judge this")
    assert costs(server, "he ran", price=PRICE) == pytest.approx([EACH])

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from fake_servers import build, error, good, message

from orality import JudgeError, JudgeRequest
from orality.testing import JudgeTests
from orality_judge_anthropic.models import price_of

REQUEST = JudgeRequest(prompt_text="tom lost his kite", continuation_text="and ran home")


class TestAnthropic(JudgeTests):
    name = "anthropic"

    @pytest.fixture(autouse=True)
    def use_the_fake(self, server, monkeypatch):
        server.respond = lambda request: good("anthropic", 3)
        monkeypatch.setattr(type(self), "options", {"base_url": server.url})


def ask(server, **options):
    return build("anthropic", server, **options).score([REQUEST])[0]


def test_the_request_asks_for_one_of_five_numbers(server):
    verdict = ask(server)
    assert verdict.score == 4.0
    # 400 tokens at $0.1 and 12 at $0.5 a million
    assert verdict.measured == pytest.approx(
        {"input_tokens": 400.0, "output_tokens": 12.0, "dollars": 4.6e-5}
    )
    (request,) = server.requests
    assert request.path == "/v1/messages"
    assert request.headers["Authorization"].startswith("Bearer sk-canary")
    body = request.body
    schema = body["output_config"]["format"]["schema"]
    assert schema["properties"]["score"]["enum"] == [1, 2, 3, 4, 5]
    assert schema["additionalProperties"] is False
    assert body["thinking"] == {"type": "disabled"}
    assert body["max_tokens"] == 64
    assert not {"temperature", "top_p", "top_k"} & set(body)
    assert request.transcripts == {"beginning": "tom lost his kite", "continuation": "and ran home"}


def test_a_model_that_always_thinks_is_not_told_otherwise(server):
    ask(server, model="claude-opus-5-5", effort="low")
    body = server.requests[0].body
    assert "thinking" not in body
    assert body["output_config"]["effort"] == "low"
    assert body["max_tokens"] == 4096


def test_thinking_before_the_score_is_no_part_of_the_reply(server):
    thought = {"type": "thinking", "thinking": '{"score": 5}', "signature": "x"}
    server.respond = lambda request: message('{"score": 2}', before=[thought])
    assert ask(server, thinking=True).score == 2.0
    assert server.requests[0].body["thinking"] == {"type": "adaptive"}


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (message("", stop_reason="refusal"), "refused"),
        (message('{"score": 5}', stop_reason="refusal"), "refused"),
        (message('{"sco', stop_reason="max_tokens"), "raise max_tokens"),
        (message('{"score": 5}', stop_reason="max_tokens"), "raise max_tokens"),
        (message('{"score": 5}', stop_reason="model_context_window_exceeded"), "context_window"),
        (message('{"score": 5}', stop_reason=None), "ended early"),
        (message('{"score": 5}', before=[{"type": "text", "text": ""}]), "no score"),
        (message("5"), "no score"),
        (message('{"score": 6}'), "no score"),
        (message('{"score": 0}'), "no score"),
        (message('{"score": 4.0}'), "no score"),
        (message('{"score": "4"}'), "no score"),
        (message('{"score": true}'), "no score"),
        (message('{"score": [4]}'), "no score"),
        (message('{"score": 1, "score": 5}'), "no score"),
        (message('{"score": 4, "why": "x"}'), "no score"),
        (message('{"score": 4} {"score": 5}'), "no score"),
        (message('[["score", 5]]'), "no score"),
    ],
)
def test_a_reply_that_is_no_score_is_paid_for_once_and_abstains(server, reply, reason):
    server.respond = lambda request: reply
    for _ in range(2):
        verdict = ask(server)
        assert verdict.score is None
        assert reason in verdict.rationale
    assert server.calls == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (429, "enforced_spend_limit_reached"),
        (400, "contract_spend_limit_reached"),
        (400, "organization_on_hold"),
    ],
)
def test_a_limit_of_the_account_stops_at_once(server, status, code):
    server.respond = lambda request: error(status, "rate_limit_error", code=code)
    with pytest.raises(JudgeError, match=f"{status}.*run the same command again"):
        ask(server)
    assert server.calls == 1


def test_a_message_without_usage_is_no_message(server):
    server.script = [message(usage=None)]
    assert ask(server).score == 4.0
    assert server.calls == 2


def test_a_missing_key_says_where_it_belongs(server, monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "another")
    with pytest.raises(JudgeError, match="set the environment variable ANTHROPIC_API_KEY"):
        build("anthropic", server)


def test_what_is_spent_follows_the_price_table(server):
    usage = {"input_tokens": 1_000_000 - 250_000, "output_tokens": 100_000}
    usage |= {"cache_read_input_tokens": 250_000}
    server.respond = lambda request: message(usage=usage)
    judge = build("anthropic", server, model="claude-sonnet-5-5")
    judge.score([REQUEST])
    assert judge._asking.cache.spent == pytest.approx(2.0 + 1.0)


def test_prices_are_known_by_name_and_by_dated_name():
    haiku = price_of("claude-haiku-5-5")
    assert (haiku.input, haiku.output) == (0.1, 0.5)
    assert price_of("claude-haiku-4-5-20251001") == price_of("claude-haiku-4-5")
    assert price_of("claude-of-2030") is None
    assert haiku.of(SimpleNamespace(input_tokens=100_000, output_tokens=1000)) == 0.0105
    assert haiku.of(SimpleNamespace(input_tokens=200_000, output_tokens=1000)) == 0.1025


def test_the_estimate_bounds_the_tokens_of_any_script(server):
    text = "это 続き \U0001f600 " * 200
    request = JudgeRequest(prompt_text=text, continuation_text=text)
    judge = build("anthropic", server)
    most = judge._question(request).most
    judge.score([request])
    body = server.requests[0].body
    sent = body["system"] + "".join(block["text"] for block in body["messages"][0]["content"])
    assert most.input_tokens >= len(sent.encode())
    assert most.output_tokens == body["max_tokens"]
    assert json.loads(json.dumps(body)) == body

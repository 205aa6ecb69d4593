from __future__ import annotations

import math

import pytest
from fake_servers import build, completion, good

import orality
from orality import JudgeError, JudgeRequest
from orality.testing import JudgeTests

REQUEST = JudgeRequest(prompt_text="tom lost his kite", continuation_text="and ran home")


class TestOpenAICompatible(JudgeTests):
    name = "openai-compatible"
    options = {"model": "m"}  # noqa: RUF012

    @pytest.fixture(autouse=True)
    def use_the_fake(self, server, monkeypatch):
        server.respond = lambda request: good("openai-compatible", 3)
        options = {"base_url": f"{server.url}/v1", "model": "judge"}
        monkeypatch.setattr(type(self), "options", options)


def ask(server, **options):
    return build("openai-compatible", server, **options).score([REQUEST])[0]


def token(text, shares):
    """One position's logprobs: its token, and all that are listed."""
    listed = [{"token": t, "logprob": math.log(p), "bytes": None} for t, p in shares.items()]
    return {
        "token": text,
        "logprob": math.log(shares.get(text, 0.5)),
        "top_logprobs": listed,
    }


def test_the_request_asks_for_digits_with_their_probabilities(server):
    assert ask(server).score == 4.0
    (request,) = server.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["Authorization"].startswith("Bearer sk-canary")
    body = request.body
    assert (body["logprobs"], body["top_logprobs"], body["temperature"]) == (True, 20, 0)
    assert body["max_tokens"] == 8
    assert request.transcripts == {"beginning": "tom lost his kite", "continuation": "and ran home"}


def test_the_score_is_the_expectation_over_all_ways_to_write_a_digit(server):
    shares = {"4": 0.5, " 4": 0.1, "5": 0.2, "\u25813": 0.1, "10": 0.05, "x": 0.05}
    server.respond = lambda request: completion("4", logprobs={"content": [token("4", shares)]})
    verdict = ask(server)
    # (4 * .6 + 5 * .2 + 3 * .1) / .9
    assert verdict.score == pytest.approx(3.7 / 0.9)
    assert verdict.metrics == pytest.approx({"digit": 4.0, "digit_mass": 0.9})


def test_the_digit_is_found_behind_what_precedes_it(server):
    content = [
        token("\u2581", {"\u2581": 1.0}),
        token("2", {"2": 0.75, "1": 0.25}),
        token("</s>", {"</s>": 1.0}),
    ]
    server.respond = lambda request: completion(" 2", logprobs={"content": content})
    assert ask(server).score == pytest.approx(1.75)


def test_a_drawn_token_that_is_not_listed_counts(server):
    content = [token("3", {"1": 0.5})]
    server.respond = lambda request: completion("3", logprobs={"content": content})
    assert ask(server).score == pytest.approx(2.0)


def test_a_low_mass_of_digits_abstains(server):
    shares = {"4": 0.04, "The": 0.9}
    server.respond = lambda request: completion("4", logprobs={"content": [token("4", shares)]})
    verdict = ask(server)
    assert verdict.score is None
    assert "0.040" in verdict.rationale
    assert ask(server, min_digit_mass=0.01).score == 4.0


@pytest.mark.parametrize(
    "logprobs",
    [
        None, {}, {"content": None}, {"content": []}, {"content": [None, 3]}, [1],
        {"content": [{"token": "4"}]},
        {"content": [{"token": "4", "logprob": "x", "top_logprobs": [{"token": "5"}]}]},
        {"content": [{"token": "Four", "logprob": -0.1, "top_logprobs": []}]},
        {"content": [{"token": "4", "logprob": float("nan"), "top_logprobs": None}]},
    ],
)  # fmt: skip
def test_without_usable_probabilities_the_digit_counts(server, logprobs):
    server.respond = lambda request: completion("4", logprobs=logprobs)
    verdict = ask(server)
    assert (verdict.score, verdict.metrics) == (4.0, {"digit": 4.0})


def test_probabilities_never_overrule_a_reply_that_is_no_score(server):
    content = [token("1", {"1": 0.9}), token("0", {"0": 0.9})]
    server.respond = lambda request: completion("10", logprobs={"content": content})
    assert ask(server).score is None


@pytest.mark.parametrize(
    "reply",
    [
        completion("5", finish_reason="content_filter"),
        completion(None, refusal="I will not"),
        completion("5", refusal="I will not"),
        completion(None),
        completion(""),
        completion("1", finish_reason="length"),
        completion("4 ", finish_reason="length"),
    ],
)
def test_refusals_and_empty_replies_abstain(server, reply):
    server.respond = lambda request: reply
    assert ask(server).score is None
    assert server.calls == 1


def test_a_grade_whose_line_ended_before_the_cut_counts(server):
    server.respond = lambda request: completion("4\n\n\n", finish_reason="length")
    assert ask(server).score == 4.0


@pytest.mark.parametrize(
    "body", [{}, [], 5, {"choices": []}, {"choices": [{"message": {"content": [5]}}]}]
)
def test_an_answer_of_another_shape_is_tried_again(server, body):
    strange = completion()
    strange.body = body
    server.script = [strange]
    assert ask(server).score == 4.0
    assert server.calls == 2


def test_a_server_that_counts_no_tokens_is_counted_in_full(server):
    reply = completion("4")
    del reply.body["usage"]
    server.respond = lambda request: reply
    judge = build("openai-compatible", server, price={"input": 1000, "output": 0})
    judge.score([REQUEST])
    assert judge._asking.cache.spent == judge._question(REQUEST).most.input_tokens / 1000


def test_keys_of_the_request_can_be_added_and_taken_out(server):
    extra = {"max_tokens": None, "max_completion_tokens": 4, "structured_outputs": {"choice": "12"}}
    ask(server, extra_body=extra, logprobs=False)
    body = server.requests[0].body
    assert "max_tokens" not in body
    assert "logprobs" not in body
    assert body["max_completion_tokens"] == 4
    assert body["structured_outputs"] == {"choice": "12"}


def test_no_key_is_sent_where_none_is_named(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "of somebody else")
    ask(server, api_key_env=None)
    assert "Authorization" not in server.requests[0].headers


def test_a_named_key_that_is_not_there_is_a_clear_error(server):
    with pytest.raises(JudgeError, match="set the environment variable NO_SUCH_KEY"):
        build("openai-compatible", server, api_key_env="NO_SUCH_KEY")


def test_a_server_nearby_is_local(server, monkeypatch):
    monkeypatch.setenv("ORALITY_LOCAL_ONLY", "1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # would be a way out
    url = f"{server.url}/v1"
    judge = orality.build("judge", "openai-compatible", base_url=url, model="judge")
    assert judge.score([REQUEST])[0].score == 4.0


def test_a_redirection_is_not_followed(server):
    away = completion()
    away.status, away.headers = 307, {"Location": "http://127.0.0.1:9/elsewhere"}
    server.respond = lambda request: away
    with pytest.raises(JudgeError, match="307"):
        ask(server)

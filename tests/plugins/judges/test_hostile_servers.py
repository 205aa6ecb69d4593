"""Replies of servers that err, dribble, repeat keys, send elsewhere or count beyond reason."""

from __future__ import annotations

import gzip
import json
import stat
import time

import httpx2
import pytest
from fake_servers import KEY, Reply, Server, build, completion, good, message

from orality import JudgeError, JudgeRequest
from orality.judging import bounded_client

BACKENDS = ("anthropic", "openai-compatible")
pytestmark = pytest.mark.parametrize("backend", BACKENDS)


def asked(count=1):
    return [
        JudgeRequest(id=str(n), prompt_text="tom", continuation_text=f"ran {n}")
        for n in range(count)
    ]


def text(backend, content, **more):
    return message(content, **more) if backend == "anthropic" else completion(content, **more)


def cut(backend):
    """What a model sends that thinks until it is cut."""
    if backend == "anthropic":
        return message("", stop_reason="max_tokens")
    return completion(None, finish_reason="length", reasoning_content="let me see")


@pytest.mark.parametrize("reply", ["cut", "**Rating:** 4", "I cannot judge this."])
def test_replies_without_a_score_stop_the_run_and_say_what_they_cost(
    server, backend, reply, tmp_path
):
    server.respond = lambda _: cut(backend) if reply == "cut" else text(backend, reply)
    judge = build(
        backend, server, max_failures=5, concurrency=2, cache=tmp_path / "a.sqlite",
        price={"input": 1.0, "output": 5.0},
    )  # fmt: skip
    with pytest.raises(JudgeError, match=r"items in a row.*\$0\.\d+ were spent") as error:
        judge.score(asked(80))
    assert "max_tokens" in str(error.value) or "no score" in str(error.value)
    assert server.calls <= 5 + 2 * 2


def test_a_score_now_and_then_keeps_the_run_going(server, backend, tmp_path):
    def respond(request):
        useful = json.dumps(request.body).count("ran 4") or json.dumps(request.body).count("ran 9")
        return good(backend, 3) if useful else text(backend, "no idea")

    server.respond = respond
    judge = build(backend, server, max_failures=6, concurrency=1, cache=tmp_path / "a.sqlite")
    scores = [verdict.score for verdict in judge.score(asked(10))]
    assert scores == [None] * 4 + [3.0] + [None] * 4 + [3.0]


def test_a_key_that_a_server_repeats_reaches_no_verdict_and_no_file(server, backend, tmp_path):
    server.respond = lambda request: text(backend, f"your key is {KEY}")
    judge = build(backend, server, cache=tmp_path / "a.sqlite", concurrency=1)
    (verdict,) = judge.score(asked())
    assert KEY not in str(verdict)
    assert "***" in verdict.rationale
    assert not [
        path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()
    ]


def test_the_file_of_answers_is_its_owners_alone(server, backend, tmp_path):
    server.respond = lambda _: good(backend, 3)
    judge = build(backend, server, cache=tmp_path / "new" / "a.sqlite")
    judge.score(asked())
    for path in (tmp_path / "new").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


@pytest.mark.parametrize("how", ["large", "packed", "drip"])
def test_replies_end_in_bytes_and_time(server, backend, how):
    def respond(_):
        if how == "drip":
            return Reply(body={}, how="drip")
        if how == "large":
            return Reply(body=b" " * (5 << 20))
        packed = gzip.compress(bytes(50 << 20))
        return Reply(body=packed, headers={"Content-Encoding": "gzip"})

    server.respond = respond
    judge = build(backend, server, timeout=0.6, attempts=1, max_failures=99)
    begun = time.monotonic()
    (verdict,) = judge.score(asked())
    assert verdict.score is None
    assert time.monotonic() - begun < 20


def test_transcripts_do_not_follow_a_redirect(server, backend):
    with Server() as elsewhere:
        elsewhere.respond = lambda _: good(backend, 5)
        path = "/v1/messages" if backend == "anthropic" else "/v1/chat/completions"
        server.respond = lambda _: Reply(307, {}, {"Location": f"{elsewhere.url}{path}"})
        with pytest.raises(JudgeError, match="307"):
            build(backend, server, attempts=1).score(asked())
        assert elsewhere.calls == 0


@pytest.mark.parametrize("count", [10**4000, 10**12, -5])
def test_a_count_beyond_reason_is_not_believed(server, backend, count, tmp_path):
    usage = {"input_tokens": count, "output_tokens": 1}
    server.respond = lambda _: text(
        backend, '{"score": 3}' if backend == "anthropic" else "3", usage=usage
    )
    judge = build(
        backend, server, attempts=1, max_failures=99, cache=tmp_path / "a.sqlite",
        price={"input": 1.0, "output": 5.0},
    )  # fmt: skip
    (verdict,) = judge.score(asked())
    assert verdict.score in (3.0, None)
    assert (verdict.dollars or 0.0) < 0.1


@pytest.mark.parametrize("after", ["Mon, 01 Jan 9999999 00:00:00 GMT", "9" * 400, "nan", "-3"])
def test_a_pause_beyond_reason_is_not_waited_for(server, backend, after):
    server.script = [Reply(429, {"error": {"message": "slow down"}}, {"Retry-After": after})]
    server.respond = lambda _: good(backend, 3)
    (verdict,) = build(backend, server).score(asked())
    assert verdict.score == 3.0


def test_an_account_without_money_is_no_rate_limit(server, backend):
    body = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota",
                      "type": "insufficient_quota"}}  # fmt: skip
    server.respond = lambda _: Reply(429, body)
    with pytest.raises(JudgeError, match="billing"):
        build(backend, server).score(asked(20))
    assert server.calls <= 8  # those under way, each once


def test_no_other_host_is_asked_even_where_a_server_names_one(backend):
    client = bounded_client("http://127.0.0.1:9", timeout=0.5)
    with pytest.raises(httpx2.TransportError, match="other host"):
        client.get("http://127.0.0.2:9/results")

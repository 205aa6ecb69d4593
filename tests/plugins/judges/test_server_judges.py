"""What both judges behind a server do when the server does not do its part."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from fake_servers import Reply, Server, Sleeps, build, error, good

import orality
from orality import JudgeError, JudgeRequest, PluginError, RecipeError

BACKENDS = ("anthropic", "openai-compatible")
pytestmark = [
    pytest.mark.parametrize("backend", BACKENDS),
    pytest.mark.usefixtures("own_surroundings"),
]


def requests(count=1):
    return [
        JudgeRequest(prompt_text="tom lost his kite", continuation_text=f"and ran home {n}")
        for n in range(count)
    ]


TRANSIENT = {
    "429": error(429, "rate_limit_error"),
    "429 with retry-after": error(429, "rate_limit_error", headers={"retry-after": "7"}),
    "500": error(500),
    "503": error(503),
    "529": error(529, "overloaded_error"),
    "408": error(408),
    "reset": Reply(how="reset"),
    "timeout": Reply(how="hang"),
    "cut body": Reply(body={"content": "x" * 100}, how="cut"),
    "cut json": Reply(body=b'{"id": "msg_1", "content": [{"ty'),
}


@pytest.mark.parametrize("case", TRANSIENT)
def test_what_passes_is_tried_again(server, backend, case):
    times, options = (1, {"timeout": 1.0}) if case == "timeout" else (2, {})
    server.script = [TRANSIENT[case]] * times + [good(backend, 5)]
    sleeps = Sleeps()
    judge = build(backend, server, sleep=sleeps, **options)
    assert [verdict.score for verdict in judge.score(requests())] == [5.0]
    assert server.calls == times + 1
    assert len(sleeps) == times
    if case == "429 with retry-after":
        assert all(7 <= seconds <= 7.25 for seconds in sleeps)
    else:
        shares = [seconds / 2.0**n for n, seconds in enumerate(sleeps)]
        assert all(0.75 <= share <= 1.25 for share in shares)


@pytest.mark.parametrize("case", ["500", "408", "reset", "timeout", "cut body", "cut json"])
def test_an_item_that_keeps_failing_abstains(server, backend, case):
    def respond(request):
        poisoned = "home 1" in request.transcripts["continuation"]
        return TRANSIENT[case] if poisoned else good(backend, 3)

    server.respond = respond
    options = {"timeout": 1.0, "attempts": 1} if case == "timeout" else {"attempts": 2}
    scores = [verdict.score for verdict in build(backend, server, **options).score(requests(3))]
    assert scores == [3.0, None, 3.0]
    assert server.calls == 2 + options["attempts"]


@pytest.mark.parametrize("case", ["429", "503", "529"])
def test_a_server_that_is_away_stops_the_run(server, backend, case):
    server.respond = lambda request: TRANSIENT[case]
    judge = build(backend, server, attempts=3, concurrency=1)
    with pytest.raises(JudgeError, match=rf"{case}.*tried 3 times"):
        judge.score(requests(5))
    assert server.calls == 3


def test_a_server_that_is_not_there_stops_the_run(backend):
    with Server() as gone:
        pass
    judge = build(backend, gone, attempts=2)
    with pytest.raises(JudgeError, match="does not answer"):
        judge.score(requests())


def test_a_wait_that_is_too_long_is_no_wait(server, backend):
    server.respond = lambda request: error(429, headers={"retry-after": "7200"})
    with pytest.raises(JudgeError, match="wait 7200 s"):
        build(backend, server).score(requests())
    assert server.calls == 1


def test_a_server_may_forbid_another_try(server, backend):
    server.respond = lambda request: error(503, headers={"x-should-retry": "false"})
    with pytest.raises(JudgeError, match="503"):
        build(backend, server).score(requests())
    assert server.calls == 1


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "API key"),
        (402, "billing"),
        (403, "permissions"),
        (404, "`model` and `base_url`"),
        (418, "run the same command again"),
    ],
)
def test_what_no_item_can_help_stops_at_once(server, backend, status, advice):
    server.respond = lambda request: error(status)
    judge = build(backend, server, concurrency=1)
    with pytest.raises(JudgeError, match=f"{status}.*{advice}"):
        judge.score(requests(6))
    assert server.calls == 1


@pytest.mark.parametrize("status", [400, 413, 422])
def test_one_refused_request_abstains_alone(server, backend, status):
    def respond(request):
        bad = "home 2" in request.transcripts["continuation"]
        return error(status, "invalid_request_error") if bad else good(backend, 2)

    server.respond = respond
    verdicts = build(backend, server).score(requests(4))
    assert [verdict.score for verdict in verdicts] == [2.0, 2.0, None, 2.0]
    assert str(status) in verdicts[2].rationale
    assert server.calls == 4


def test_refused_requests_in_a_row_stop_the_run(server, backend):
    server.respond = lambda request: error(400, "invalid_request_error", "no such parameter")
    judge = build(backend, server, max_failures=4, concurrency=1)
    with pytest.raises(JudgeError, match="4 items in a row.*no such parameter"):
        judge.score(requests(20))
    assert server.calls == 4


def test_nothing_is_asked_twice(server, backend):
    first = build(backend, server).score(requests(3))
    assert server.calls == 3
    twice = [request for request in requests(4) for _ in range(2)]
    assert [v.score for v in build(backend, server).score(twice)] == [4.0] * 8
    assert server.calls == 4
    assert build(backend, server).score(requests(3)) == first


def test_another_question_is_another_answer(server, backend, tmp_path):
    rubric = tmp_path / "rubric.txt"
    rubric.write_text("grade it; {{ answer }} {{ nonce }}")
    for options in ({}, {"rubric": rubric}, {"max_tokens": 99}, {"max_characters": 5}):
        build(backend, server, **options).score(requests())
    other = JudgeRequest(prompt_text="x", continuation_text="and ran home 0", language="de")
    build(backend, server).score([other])
    build(backend, server, concurrency=2, attempts=1, timeout=9.0).score(requests())
    assert server.calls == 5


def test_silence_and_missing_texts_need_no_call(server, backend):
    verdicts = build(backend, server).score(
        [
            JudgeRequest(prompt_text="so", continuation_text=" \n"),
            JudgeRequest(continuation_text="hello"),
            JudgeRequest(prompt_text="so"),
        ]
    )
    assert [verdict.score for verdict in verdicts] == [1.0, None, None]
    assert server.calls == 0


def test_calls_are_under_way_at_the_same_time(server, backend):
    together = threading.Barrier(10)

    def respond(request):
        together.wait(60)
        return good(backend, 4)

    server.respond = respond
    scores = build(backend, server, concurrency=10).score(requests(20))
    assert [verdict.score for verdict in scores] == [4.0] * 20


PRICE = {"input": 1000.0, "output": 1000.0}  # dollars per million: 0.412 for a call of the fake


def billed(server):
    return sum(0.412 for request in server.requests)


def test_the_budget_holds_while_many_calls_are_under_way(server, backend):
    options = {"price": PRICE, "concurrency": 8, "max_cost": 9.0}
    judge = build(backend, server, **options)
    with pytest.raises(JudgeError, match=r"max_cost \$9"):
        judge.score(requests(60))
    assert 4.0 < billed(server) <= 9.0
    with pytest.raises(JudgeError, match="max_cost"):
        build(backend, server, **options).score(requests(60))
    assert billed(server) <= 9.0
    scores = build(backend, server, **options | {"max_cost": 40.0}).score(requests(60))
    assert [verdict.score for verdict in scores] == [4.0] * 60
    assert server.calls == 60


def test_an_answer_that_was_lost_counts_as_paid(server, backend):
    server.respond = lambda request: Reply(how="reset")
    judge = build(backend, server, price=PRICE, max_cost=8.0, attempts=100, concurrency=2)
    with pytest.raises(JudgeError, match="max_cost"):
        judge.score(requests(2))
    assert 1 <= server.calls <= 8


def test_a_budget_without_a_price_is_refused(server, backend):
    with pytest.raises(JudgeError, match="price: {input"):
        build(backend, server, max_cost=1.0, model="a-model-of-2030")


def test_the_cost_is_said_before_the_first_call(server, backend, caplog):
    caplog.set_level("INFO", logger="orality")
    build(backend, server, price=PRICE).score(requests(3))
    (line,) = [r.getMessage() for r in caplog.records if "to ask" in r.getMessage()]
    assert "3 to ask, 0 known; about $" in line
    assert "at most $" in line


CHILD = """
import sys
sys.path[:0] = sys.argv[3].split(":")
from types import SimpleNamespace
from fake_servers import build
from orality import JudgeRequest
requests = [
    JudgeRequest(prompt_text="tom lost his kite", continuation_text=f"and ran home {n}")
    for n in range(40)
]
build(sys.argv[1], SimpleNamespace(url=sys.argv[2]), concurrency=4).score(requests)
"""


def test_a_killed_run_loses_only_the_calls_under_way(server, backend):
    killed = threading.Event()

    def respond(request):
        if server.calls > 15:
            killed.wait(60)
        return good(backend, 1 + int(request.transcripts["continuation"].split()[-1]) % 5)

    server.respond = respond
    path = ":".join([os.path.dirname(__file__), *sys.path])
    child = subprocess.Popen([sys.executable, "-c", CHILD, backend, server.url, path])
    deadline = time.monotonic() + 120
    while server.calls < 16 and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    killed.set()
    assert 16 <= server.calls <= 19
    scores = [verdict.score for verdict in build(backend, server).score(requests(40))]
    assert scores == [float(1 + n % 5) for n in range(40)]
    assert server.calls <= 40 + 4


def test_a_judge_that_sends_data_away_is_refused_where_that_is_forbidden(backend, monkeypatch):
    monkeypatch.setenv("ORALITY_LOCAL_ONLY", "1")
    options = {"openai-compatible": {"model": "m", "base_url": "https://api.example.org/v1"}}
    with pytest.raises(PluginError, match="ORALITY_LOCAL_ONLY forbids"):
        orality.build("judge", backend, **options.get(backend, {}))


def test_a_judge_is_never_pickled(server, backend):
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(build(backend, server))


@pytest.mark.parametrize(
    "url",
    ["https://user:secret@host", "https://host?key=secret", "ftp://host", "http:", "http://["],
)
def test_an_address_that_gives_secrets_away_or_is_none_is_refused(backend, url):
    options = {"openai-compatible": {"model": "m"}}
    with pytest.raises(RecipeError, match="base_url") as caught:
        orality.build("judge", backend, base_url=url, **options.get(backend, {}))
    assert "secret" not in str(caught.value)


def test_a_key_is_not_sent_in_the_clear(backend):
    with pytest.raises(JudgeError, match="use https"):
        build(backend, SimpleNamespace(url="http://api.example.org"))

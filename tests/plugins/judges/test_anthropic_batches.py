from __future__ import annotations

import threading

import pytest
from fake_servers import Batches, Reply, Sleeps, build, error, errored, good, succeeded

from orality import JudgeError, JudgeRequest
from orality_judge_anthropic import batches as module

PRICE = {"input": 1000.0, "output": 1000.0}


def requests(count):
    texts = ["x" * (n + 1) for n in range(count)]
    return [JudgeRequest(prompt_text="tom", continuation_text=text) for text in texts]


def wanted(count):
    return [float(1 + (n + 1) % 5) for n in range(count)]


def batched(server, **options):
    return build("anthropic", server, batch=True, **options)


def scores(judge, count):
    return [verdict.score for verdict in judge.score(requests(count))]


def test_results_in_any_order_find_their_requests(server):
    fake = Batches(server, polls=2)
    sleeps = Sleeps()
    assert scores(batched(server, sleep=sleeps, poll_seconds=30), 7) == wanted(7)
    assert len(fake.made) == 1
    assert sleeps == [30.0, 30.0]
    names = [row["custom_id"] for row in fake.made["msgbatch_1"]]
    assert all(len(name) == 64 for name in names)
    assert scores(batched(server), 7) == wanted(7)
    assert len(fake.made) == 1


@pytest.mark.parametrize("result", [{"type": "expired"}, errored("overloaded_error")])
def test_what_expired_or_errored_is_submitted_again(server, result):
    def fate(name, params, times):
        unlucky = int(name, 16) % 2 and times == 1
        return result if unlucky else Batches.succeed(name, params, times)

    fake = Batches(server, fate=fate)
    assert scores(batched(server), 12) == wanted(12)
    assert sorted(fake.times.values())[-1] == 2
    assert len(fake.made) == 2


def test_what_always_expires_abstains_in_the_end(server):
    def fate(name, params, times):
        doomed = '"xx"' in params["messages"][0]["content"][1]["text"]
        return {"type": "expired"} if doomed else Batches.succeed(name, params, times)

    fake = Batches(server, fate=fate)
    assert scores(batched(server, attempts=3), 3) == [2.0, None, 4.0]
    assert max(fake.times.values()) == 3


def test_a_request_that_is_refused_abstains_alone(server):
    def fate(name, params, times):
        bad = '"xx"' in params["messages"][0]["content"][1]["text"]
        return errored("invalid_request_error") if bad else Batches.succeed(name, params, times)

    fake = Batches(server, fate=fate)
    assert scores(batched(server), 3) == [2.0, None, 4.0]
    assert max(fake.times.values()) == 1


def test_an_error_of_the_account_stops_and_keeps_what_was_paid(server):
    def fate(name, params, times):
        broke = '"xx"' in params["messages"][0]["content"][1]["text"] and times == 1
        return errored("billing_error") if broke else Batches.succeed(name, params, times)

    fake = Batches(server, fate=fate)
    with pytest.raises(JudgeError, match="billing_error"):
        scores(batched(server), 3)
    assert scores(batched(server), 3) == wanted(3)
    assert sorted(fake.times.values()) == [1, 1, 2]


def test_a_canceled_batch_stops_and_is_taken_up_by_the_next_run(server):
    def fate(name, params, times):
        canceled = int(name, 16) % 2 and times == 1
        return {"type": "canceled"} if canceled else Batches.succeed(name, params, times)

    fake = Batches(server, fate=fate)
    with pytest.raises(JudgeError, match="was canceled"):
        scores(batched(server), 12)
    assert scores(batched(server), 12) == wanted(12)
    assert sum(fake.times.values()) < 24


def test_a_killed_run_finds_its_batch_again(server):
    fake = Batches(server, polls=1000)

    class Killed(BaseException):
        pass

    def kill(seconds):
        raise Killed

    with pytest.raises(Killed):
        scores(batched(server, sleep=kill), 5)
    fake.polls = 0
    assert scores(batched(server), 6) == wanted(6)
    assert sum(fake.times.values()) == 6
    assert batched(server)._asking.cache.batches() == {}


def test_a_batch_that_the_server_forgot_is_submitted_again(server):
    fake = Batches(server)
    judge = batched(server)
    names = [judge._question(request).key for request in requests(3)]
    judge._asking.cache.add_batch("msgbatch_of_last_year", names)
    assert scores(judge, 3) == wanted(3)
    assert list(fake.made) == ["msgbatch_1"]


def test_a_results_file_that_breaks_off_is_read_again_and_paid_once(server):
    fake = Batches(server)
    plain, broken = fake.respond, threading.Event()

    def respond(request):
        reply = plain(request)
        if request.path.endswith("/results") and not broken.is_set():
            broken.set()
            return Reply(body=reply.body, headers=reply.headers, how="cut")
        return reply

    server.respond = respond
    judge = batched(server, price=PRICE)
    assert scores(judge, 6) == wanted(6)
    assert broken.is_set()
    assert judge._asking.cache.spent == pytest.approx(6 * 0.412 / 2)


@pytest.mark.parametrize("where", ["submission", "look", "results"])
@pytest.mark.parametrize("passing", [error(429), error(500), error(529), Reply(how="reset")])
def test_every_step_of_a_batch_is_patient(server, where, passing):
    fake = Batches(server)
    plain, seen = fake.respond, []

    def respond(request):
        step = "results" if request.path.endswith("/results") else "look"
        step = "submission" if request.method == "POST" else step
        if step == where and not seen:
            seen.append(request)
            return passing
        return plain(request)

    server.respond = respond
    assert scores(batched(server), 2) == wanted(2)
    assert len(seen) == 1


def test_a_key_that_is_refused_stops_a_batch_at_once(server):
    server.respond = lambda request: error(401, "authentication_error")
    with pytest.raises(JudgeError, match="401.*API key"):
        scores(batched(server), 2)
    assert server.calls == 1


def test_a_verdict_of_a_batch_tells_half_the_price(server):
    Batches(server)
    requests = [JudgeRequest(prompt_text="tom lost his kite", continuation_text="and ran home")]
    (verdict,) = batched(server, price={"input": 1.0, "output": 5.0}).score(requests)
    assert verdict.dollars == pytest.approx((400 * 1.0 + 12 * 5.0) / 1e6 / 2)


def test_half_the_price_is_counted_and_the_budget_holds(server):
    fake = Batches(server)
    judge = batched(server, price=PRICE, max_cost=5.0)
    with pytest.raises(JudgeError, match=r"max_cost \$5"):
        scores(judge, 40)
    done = sum(fake.times.values())
    assert judge._asking.cache.spent == pytest.approx(done * 0.206)
    assert done > 10
    assert done * 0.206 <= 5.0
    assert scores(batched(server, price=PRICE, max_cost=50.0), 40) == wanted(40)
    assert sum(fake.times.values()) == 40


def test_a_submission_that_was_lost_counts_as_paid(server):
    Batches(server)
    server.script = [Reply(how="reset")] * 50
    judge = batched(server, price=PRICE, max_cost=5.0, attempts=50)
    with pytest.raises(JudgeError, match="max_cost"):
        scores(judge, 2)
    most = sum(judge._question(request).most.input_tokens + 64 for request in requests(2)) / 2000
    assert server.calls == int(5.0 / most)
    assert judge._asking.cache.spent == pytest.approx(server.calls * most)


def test_a_submission_without_an_id_is_no_batch(server):
    Batches(server)
    server.script = [Reply(body={"type": "message_batch"}), Reply(body=b'{"id": "msgb')]
    assert scores(batched(server), 2) == wanted(2)


def test_large_sets_are_divided(server, monkeypatch):
    monkeypatch.setattr(module, "MAX_REQUESTS", 4)
    fake = Batches(server)
    assert scores(batched(server), 10) == wanted(10)
    assert [len(rows) for rows in fake.made.values()] == [4, 4, 2]


def test_a_batch_judge_wants_many_requests_at_a_time():
    from orality import load

    spec = load().find("judge", "anthropic").spec
    assert spec.batch_size(spec.config(batch=True)) == 10_000
    assert spec.batch_size(spec.config(concurrency=16)) == 64


def test_a_refusal_in_a_batch_abstains(server):
    fake = Batches(server, fate=lambda *_: succeeded(5, stop_reason="refusal"))
    assert scores(batched(server), 2) == [None, None]
    assert max(fake.times.values()) == 1


def test_a_single_answer_serves_batches_and_calls_alike(server):
    server.respond = lambda request: good("anthropic", 5)
    assert scores(build("anthropic", server), 2) == [5.0, 5.0]
    fake = Batches(server)
    assert scores(batched(server), 2) == [5.0, 5.0]
    assert fake.made == {}

from __future__ import annotations

import random
import sqlite3
import threading
import time
from dataclasses import replace

import pytest

from orality import JudgeError, ServerJudgeConfig
from orality.judging import (
    Answer,
    AnswerCache,
    Budget,
    Failure,
    Price,
    Question,
    Then,
    Usage,
    asking_for,
    question_key,
)


def question(name, most=10):
    return Question(name, "{}", "en", Usage(most, 0))


def answer(tokens=10, score=3.0):
    return Answer(score, "3", Usage(tokens, 0), metrics={"digit": 3.0})


def asking(tmp_path, *, sleep=lambda seconds: None, **options):
    options = {"cache": tmp_path / "answers.sqlite", **options}
    return asking_for(ServerJudgeConfig(**options), name="fake", model="m", sleep=sleep)


def test_answers_are_kept_word_by_word(tmp_path):
    cache = AnswerCache(tmp_path / "a.sqlite", name="x")
    kept = Answer(None, 'say "5" \u2028', Usage(7, 2), "no score", {"digit_mass": 0.25})
    paid = cache.add("key", kept, 0.5)
    assert paid == replace(kept, dollars=0.5)
    again = AnswerCache(tmp_path / "a.sqlite", name="x")
    assert again.find(["key", "other"]) == {"key": paid}
    assert again.spent == 0.5
    again.add_lost(0.25)
    assert cache.spent == 0.75


def test_batches_are_remembered_until_they_are_done(tmp_path):
    cache = AnswerCache(tmp_path / "a.sqlite", name="x")
    cache.add_batch("b1", ["k1", "k2"])
    assert AnswerCache(tmp_path / "a.sqlite", name="x").batches() == {"b1": ["k1", "k2"]}
    cache.drop_batch("b1")
    assert cache.batches() == {}


def test_a_file_that_is_no_cache_is_a_clear_error(tmp_path):
    path = tmp_path / "a.sqlite"
    path.write_bytes(b"no database at all, and long enough to be read as a header " * 9)
    with pytest.raises(JudgeError, match="set `cache` to another file"):
        AnswerCache(path, name="x")


def test_a_cache_that_was_damaged_later_is_a_clear_error(tmp_path):
    cache = AnswerCache(tmp_path / "a.sqlite", name="x")
    with sqlite3.connect(tmp_path / "a.sqlite") as other:
        other.execute("DROP TABLE answers")
    with pytest.raises(JudgeError, match="cannot be used"):
        cache.find(["key"])


def test_a_key_depends_on_every_part_and_on_no_order():
    assert question_key(a=1, b="x") == question_key(b="x", a=1)
    assert len({question_key(a=1), question_key(a="1"), question_key(a=2), question_key(b=1)}) == 4


def test_pauses_double_up_to_a_minute_and_are_spread(tmp_path):
    slept = []
    work = asking(tmp_path, sleep=slept.append, attempts=9)
    work.random = random.Random(0).random
    failure = Failure("busy", Then.ABSTAIN, retry=True)
    assert work.ask([question("q")], lambda q: failure) == {"q": failure}
    wanted = [1, 2, 4, 8, 16, 32, 60, 60]
    assert all(0.75 * w <= s <= 1.25 * w for w, s in zip(wanted, slept, strict=True))
    assert len({round(s / w, 6) for w, s in zip(wanted, slept, strict=True)}) == 8


def test_a_stop_wakes_who_is_waiting_and_keeps_what_is_under_way(tmp_path):
    work = asking(tmp_path, concurrency=3, attempts=50, sleep=None)
    together = threading.Barrier(3)

    def call(q):
        together.wait(60)
        if q.key == "patient":
            return Failure("busy", Then.ABSTAIN, retry=True, after=200.0)
        if q.key == "slow":
            time.sleep(0.2)
            return answer()
        return Failure("no key", Then.STOP)

    started = time.monotonic()
    with pytest.raises(JudgeError, match="no key"):
        work.ask([question(name) for name in ("patient", "slow", "refused")], call)
    assert time.monotonic() - started < 25
    assert list(work.cache.find(["slow", "patient"])) == ["slow"]


def test_a_call_waits_for_room_in_the_budget_rather_than_giving_up(tmp_path):
    # Each may cost 10 and costs 1: all fit, though never two at a time.
    work = asking(tmp_path, max_cost=14.5e-6, price={"input": 1.0, "output": 0.0}, concurrency=4)
    under_way, most = [], []

    def call(q):
        under_way.append(q)
        most.append(len(under_way))
        time.sleep(0.005)
        under_way.pop()
        return answer(tokens=1)

    assert len(work.ask([question(str(n)) for n in range(5)], call)) == 5
    assert max(most) == 1
    assert work.cache.spent == pytest.approx(5e-6)
    with pytest.raises(JudgeError, match="max_cost"):
        work.ask([question("one more")], call)


def test_an_unforeseen_error_gives_its_promise_back(tmp_path):
    work = asking(tmp_path, max_cost=1.0, price={"input": 1.0, "output": 0.0})

    def call(q):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work.ask([question("q")], call)
    assert work.budget.left == 1.0


def test_failures_in_a_row_are_counted_over_calls(tmp_path):
    work = asking(tmp_path, max_failures=3, concurrency=1)
    bad = Failure("odd", Then.ABSTAIN)
    for name in ("a", "b"):
        work.ask([question(name)], lambda q: bad)
    work.ask([question("c")], lambda q: answer())
    for name in ("d", "e"):
        work.ask([question(name)], lambda q: bad)
    with pytest.raises(JudgeError, match="3 items in a row.*odd"):
        work.ask([question("f")], lambda q: bad)


def test_prices_of_long_prompts_and_discounts():
    price = Price(1.0, 2.0, long_above=100, long_input=10.0, long_output=20.0)
    assert price.of(Usage(100, 50)) == pytest.approx(200e-6)
    assert price.of(Usage(101, 50)) == pytest.approx(2010e-6)
    assert price.times(0.5).of(Usage(101, 50)) == pytest.approx(1005e-6)


def test_a_promise_that_was_made_before_is_taken_anyway():
    budget = Budget(1.0, lambda: 0.5)
    budget.promise(2.0, anyway=True)
    assert budget.left == -1.5
    budget.release(2.0)
    assert budget.left == 0.5

from __future__ import annotations

import email.utils
import time

import pytest

from orality.judging import Then, failure_of_status, one_line, retry_after


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_what_may_pass_is_worth_another_try(status):
    assert failure_of_status(status, "", {}).retry
    assert not failure_of_status(status, "", {"x-should-retry": "false"}).retry
    assert not failure_of_status(status, "", {}, final=True).retry


@pytest.mark.parametrize(
    ("status", "then"),
    [
        (400, Then.ABSTAIN), (401, Then.STOP), (402, Then.STOP), (403, Then.STOP), (404, Then.STOP),
        (408, Then.ABSTAIN), (413, Then.ABSTAIN), (422, Then.ABSTAIN), (429, Then.STOP),
        (500, Then.ABSTAIN), (503, Then.STOP), (529, Then.STOP), (302, Then.STOP),
    ],
)  # fmt: skip
def test_the_item_abstains_or_the_run_stops(status, then):
    assert failure_of_status(status, "words", {}).then is then
    assert failure_of_status(status, "words", {}, final=True).then is Then.STOP


def test_the_time_to_wait_is_read_in_every_form():
    later = email.utils.formatdate(time.time() + 90, usegmt=True)
    assert retry_after({"retry-after": "7"}) == 7.0
    assert retry_after({"retry-after-ms": "1500", "retry-after": "7"}) == 1.5
    assert retry_after({"retry-after": later}) == pytest.approx(90, abs=3)


@pytest.mark.parametrize("value", ["soon", "-5", "inf", "nan", "", "Wed, 01 Jan 2020 00:00:00 GMT"])
def test_a_time_that_is_none_is_not_waited_for(value):
    assert retry_after({"retry-after": value}) is None


def test_foreign_words_are_short_and_printable():
    assert one_line("a\n\x1b[31m b") == "a ?[31m b"
    assert len(one_line("x" * 9999)) < 310

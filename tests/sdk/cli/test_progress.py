from __future__ import annotations

import pytest

from orality.cli.progress import rate, show_progress
from orality.progress import duration


class Plain:
    is_terminal = False


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("orality.cli.progress.time.monotonic", lambda: now[0])
    return now


def test_lines_tell_the_rate_and_what_is_left(clock, capsys):
    with show_progress(Plain()) as progress:
        progress("speech", 0, 100)
        clock[0] += 20
        progress("speech", 40, 100, "$0.10")
    assert capsys.readouterr().err.splitlines() == [
        "speech: 0/100, 0 s",
        "speech: 40/100, 20 s, 2.0/s, about 30 s left, $0.10",
    ]


def test_what_begins_anew_is_timed_anew(clock, capsys):
    with show_progress(Plain()) as progress:
        progress("dpo", 0, 10)
        clock[0] += 600
        progress("dpo", 10, 10)
        clock[0] += 600
        progress("dpo", 1, 10)
        clock[0] += 12
        progress("dpo", 4, 10)
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "dpo: 1/10, 0 s",
        "dpo: 4/10, 12 s, 15.0/min, about 24 s left",
    ]


def test_time_left_counts_from_when_a_resumed_stage_moves(clock, capsys):
    with show_progress(Plain()) as progress:
        progress("verdicts", 50, 100)
        clock[0] += 60  # the judge is built
        progress("verdicts", 50, 100)
        clock[0] += 10
        progress("verdicts", 60, 100)
    assert (
        capsys.readouterr().err.splitlines()[-1] == "verdicts: 60/100, 10 s, 1.0/s, about 40 s left"
    )


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(42, "42 s"), (89.4, "89 s"), (720, "12 min"), (11_100, "3 h 05 min"), (187_200, "2 d 4 h")],
)
def test_durations_are_told_in_words(seconds, told):
    assert duration(seconds) == told


@pytest.mark.parametrize(("value", "told"), [(2.04, "2.0/s"), (0.25, "15.0/min")])
def test_slow_rates_are_told_by_the_minute(value, told):
    assert rate(value) == told

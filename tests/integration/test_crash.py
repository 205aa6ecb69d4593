"""Runs that are killed or interrupted lose nothing; see `crash_harness.py` for how that is done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orality.store import read_records

HARNESS = Path(__file__).with_name("crash_harness.py")
CONCURRENCY = 4  # of the harness's judge
STAGES = ("prompts", "continuations", "speech", "transcripts", "verdicts", "pairs")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def campaign(out, *options):
    done = subprocess.run(
        [sys.executable, str(HARNESS), "--out", str(out), *map(str, options)],
        capture_output=True, text=True, timeout=3000, env=ENVIRONMENT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-5000:]
    return json.loads(done.stdout)


def check(facts, kills):
    assert sum(facts["kills"].values()) == kills
    assert (facts["lost"], facts["doubled"]) == (0, 0)
    assert facts["differing"] == []  # bytes of all files, and no file besides
    assert facts["repeated"]["1"] <= CONCURRENCY
    assert facts["repeated"]["2"] <= 2 * CONCURRENCY  # what two workers were asking


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    return campaign(
        tmp_path_factory.mktemp("crash"), "--kills", 14, "--worker-kills", 6, "--interrupts"
    )


def test_killed_runs_lose_nothing_double_nothing_and_leave_the_same_bytes(facts):
    check(facts, 20)
    assert min(facts["kills"].values()) >= 1, facts["kills"]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("stage", ["speech", "prompts"])
def test_ctrl_c_finishes_what_is_in_hand_and_says_how_to_go_on(facts, workers, stage):
    told = interrupt(facts, workers, stage, twice=False)
    assert told["code"] == 130
    assert told["in_hand"] == []
    assert told["left"] > 0  # it did stop
    assert "finishing the current shards; press Ctrl-C again to stop now" in told["log"]
    assert "stopped; what was finished is kept: the same command goes on from there" in told["log"]
    assert (told["then"], told["same"]) == (0, True)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_ctrl_c_stops_at_once(facts, workers):
    told = interrupt(facts, workers, "speech", twice=True)
    assert told["code"] == 130
    assert told["seconds"] < 15  # the stage in hand takes 20
    assert "speech" in told["in_hand"]
    assert "the same command goes on from there" in told["log"]
    assert (told["then"], told["same"]) == (0, True)


def interrupt(facts, workers, stage, *, twice):
    wanted = {"workers": workers, "stage": stage, "twice": twice}
    (found,) = [told for told in facts["interrupts"] if wanted.items() <= told.items()]
    return found


@pytest.mark.slow
def test_two_hundred_kills(tmp_path):
    facts = campaign(tmp_path, "--kills", 140, "--worker-kills", 60)
    check(facts, 200)
    assert min(facts["kills"].values()) >= 20, facts["kills"]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_in_a_terminal(tmp_path, workers):
    """The command as it is installed, with workers that are processes of their own."""
    run = tmp_path / "run"
    command = [
        sys.executable, "-m", "orality.cli", "pairs", "toy", "--out", str(run),
        "--workers", str(workers),
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, process_group=0
    )
    end = time.monotonic() + 120
    while not list(run.glob("round-1/speech/*.parquet")) and time.monotonic() < end:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 130, told
    assert "the same command goes on from there" in told
    assert "Traceback" not in told
    assert not list(run.rglob(".*.????????"))  # nothing was torn off
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    ids = [row["id"] for row in read_records(run / "round-1" / "verdicts")]
    assert len(ids) == len(set(ids)) == (18 + 6) * 5  # train and dev

"""Each tracker's own library, offline, read back; skipped where it is not installed."""

from __future__ import annotations

import json
import logging
import sqlite3
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from orality.tracking import Tracked, open_trackers
from orality.tracking.options import (
    MlflowOptions,
    TensorBoardOptions,
    TrackioOptions,
    WandbOptions,
)

CONFIG = {"recipe": {"name": "tiny", "rounds": [{"rejected": 1.0}, {"rejected": 2.0}]}}
CANARY = "c0ffee5cc9f04b0aa3a8f2d1e7b6a5948372615f"
ELSEWHERE = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL", "MLFLOW_TRACKING_URI", "WANDB_MODE")


@pytest.fixture(autouse=True)
def secret_surroundings(tmp_path, monkeypatch):
    for name in ELSEWHERE:
        monkeypatch.delenv(name, raising=False)
    for name in ("WANDB_API_KEY", "HF_TOKEN", "MLFLOW_TRACKING_TOKEN", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, CANARY)
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))


def follow(options, folder, done, last):
    """A process' share of a training: steps `done` + 1 to `last`."""
    tracker = open_trackers([options], folder, project="tiny")
    tracked = Tracked(tracker=tracker, name="round-1", config=CONFIG, before={"yield/pairs": 7})
    with tracked.opened(done) as log:
        for step in range(done + 1, last + 1):
            log({"train/loss": 1 / step, "train/learning_rate": 1e-6}, step)
    assert len(tracker.names) == 2, "a tracker gave up"


def killed_and_resumed(options, folder):
    """Six steps, of which the last two are lost and made again, and two more."""
    follow(options, folder, 0, 6)
    follow(options, folder, 4, 8)
    return {step: 1 / step for step in range(1, 9)}


def in_processes_of_their_own(options, folder):
    """The same, as it happens: a process ends, another goes on. Nothing may be printed."""
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]);"
        "import test_adapters as t; from pydantic import TypeAdapter;"
        "from orality.tracking import TrackerOptions;"
        "options = TypeAdapter(TrackerOptions).validate_json(sys.argv[2]);"
        "t.follow(options, Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))"
    )
    for done, last in (("0", "6"), ("4", "8")):
        arguments = [str(Path(__file__).parent), options.model_dump_json(), str(folder), done, last]
        command = [sys.executable, "-c", code, *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr
        assert CANARY not in ended.stderr


def holds_the_canary(folder):
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and CANARY.encode() in path.read_bytes()
    ]


def test_tensorboard_shows_each_step_once(tmp_path, caplog):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    caplog.set_level(logging.DEBUG)
    losses = killed_and_resumed(TensorBoardOptions(name="tensorboard"), tmp_path / "tracking")
    events = EventAccumulator(str(tmp_path / "tracking" / "tensorboard" / "round-1"))
    events.Reload()
    seen = [(event.step, event.value) for event in events.Scalars("train/loss")]
    assert seen == [(step, pytest.approx(loss)) for step, loss in losses.items()]
    assert [event.step for event in events.Scalars("yield/pairs")] == [0]
    assert holds_the_canary(tmp_path) == []
    assert CANARY not in caplog.text


def test_tensorboard_s_folder_can_be_chosen_and_keeps_runs_apart(tmp_path):
    pytest.importorskip("tensorboard")
    options = TensorBoardOptions(name="tensorboard", folder=tmp_path / "all")
    follow(options, tmp_path / "first", 0, 1)
    follow(options, tmp_path / "second", 0, 1)
    assert len({path.parent.parent.name for path in (tmp_path / "all").rglob("events.*")}) == 2


def test_trackio_shows_each_step_once(tmp_path):
    pytest.importorskip("trackio")
    in_processes_of_their_own(TrackioOptions(name="trackio"), tmp_path / "tracking")
    with sqlite3.connect(tmp_path / "trackio" / "tiny.db") as database:
        rows = database.execute("select run_name, step, metrics from metrics order by step")
        seen = [(name, step, json.loads(metrics)) for name, step, metrics in rows.fetchall()]
    assert len({name for name, _, _ in seen}) == 1
    assert [step for _, step, _ in seen] == list(range(9))
    assert [metrics["train/loss"] for _, _, metrics in seen[1:]] == [1 / n for n in range(1, 9)]
    assert holds_the_canary(tmp_path) == []


def test_wandb_offline_holds_each_step_once(tmp_path):
    pytest.importorskip("wandb")
    options = WandbOptions(name="wandb", mode="offline")
    in_processes_of_their_own(options, tmp_path / "tracking")
    losses = {step: 1 / step for step in range(1, 9)}
    files = sorted((tmp_path / "tracking" / "wandb").rglob("*.wandb"))
    files = [path for path in files if not path.parent.is_symlink()]
    assert len({path.name for path in files}) == 1  # one id, whose shares `wandb sync` joins
    rows = [row for path in files for row in wandb_history(path)]
    assert {int(row["_step"]): row["train/loss"] for row in rows if "train/loss" in row} == losses
    assert sorted(int(row["_step"]) for row in rows) == list(range(9))
    assert holds_the_canary(tmp_path) == []


def test_wandb_without_a_key_stays_here(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    in_processes_of_their_own(WandbOptions(name="wandb"), tmp_path / "tracking")
    assert list((tmp_path / "tracking" / "wandb" / "wandb").glob("offline-run-*"))


def test_mlflow_shows_each_step_once(tmp_path, caplog):
    pytest.importorskip("mlflow")
    caplog.set_level(logging.DEBUG)
    losses = killed_and_resumed(MlflowOptions(name="mlflow"), tmp_path / "tracking")
    with sqlite3.connect(tmp_path / "tracking" / "mlflow" / "mlflow.db") as database:
        rows = database.execute(
            "select step, value from metrics where key = 'train/loss' order by step"
        ).fetchall()
        assert [tuple(row) for row in rows] == list(losses.items())
        assert database.execute("select status from runs").fetchall() == [("FINISHED",)]
        params = dict(database.execute("select key, value from params").fetchall())
    assert params["recipe.rounds.2.rejected"] == "2.0"
    assert holds_the_canary(tmp_path) == []
    assert CANARY not in caplog.text


def test_a_server_that_is_away_costs_one_warning(tmp_path, caplog):
    pytest.importorskip("mlflow")
    options = MlflowOptions(name="mlflow", tracking_uri="http://127.0.0.1:9")
    tracker = open_trackers([options], tmp_path, project="tiny")
    with Tracked(tracker=tracker, name="round-1").opened() as log:
        log({"train/loss": 1.0}, 1)
        log({"train/loss": 0.5}, 2)
    assert caplog.text.count("does not track any more") == 1
    assert list(tracker.names) == ["jsonl"]


def test_trackio_s_options_name_a_space_only_where_one_is_given():
    assert TrackioOptions(name="trackio").is_local
    assert not TrackioOptions(name="trackio", space="me/board").is_local


def wandb_history(path):
    """The rows of a .wandb file: records of protobuf in LevelDB's log format, 32 KiB blocks."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, place, record = path.read_bytes(), 7, b""
    while place + 7 <= len(data):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        record += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # full, last
            found = Record.FromString(record)
            if found.HasField("history"):
                yield {
                    (item.key or "/".join(item.nested_key)): float(item.value_json)
                    for item in found.history.item
                }
            record = b""

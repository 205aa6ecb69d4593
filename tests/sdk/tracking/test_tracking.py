from __future__ import annotations

import json
import logging
import traceback
from pathlib import Path

import pytest
import yaml
from pydantic import TypeAdapter

from orality import CompatibilityError, PluginError, Recipe, RecipeError
from orality.cli.tracking import with_trackers
from orality.tracking import (
    TRACKERS,
    CarefulTracker,
    JsonlTracker,
    Tracked,
    Tracker,
    TrackerOptions,
    open_trackers,
    read_steps,
)
from orality.tracking.careful import without_secrets
from orality.tracking.identity import Identity
from orality.tracking.late import LateTracker


class Notebook:
    """Writes down what it is told, and fails where it is told to."""

    def __init__(self, fails=()):
        self.calls, self.fails = [], fails

    def _note(self, *call):
        self.calls.append(call)
        if call[0] in self.fails:
            raise ConnectionError(f"no way to {call[0]}")

    def start(self, name, config, *, first):
        self._note("start", name, first)

    def log(self, metrics, step):
        self._note("log", step, dict(metrics))

    def finish(self, status):
        self._note("finish", status)


def options(*rows):
    return TypeAdapter(list[TrackerOptions]).validate_python(list(rows))


def steps(path):
    return [row["step"] for row in read_steps(path)]


def test_a_notebook_is_a_tracker():
    assert isinstance(Notebook(), Tracker)
    assert isinstance(CarefulTracker({}), Tracker)
    assert isinstance(JsonlTracker(Path()), Tracker)


def test_a_part_is_started_logged_and_finished():
    notebook = Notebook()
    tracked = Tracked(tracker=notebook, name="round-1", before={"yield/pairs": 7})
    with tracked.opened() as log:
        log({"train/loss": 0.5}, 1)
    assert notebook.calls == [
        ("start", "round-1", 0),
        ("log", 0, {"yield/pairs": 7}),
        ("log", 1, {"train/loss": 0.5}),
        ("finish", "finished"),
    ]


def test_a_resumed_part_starts_after_what_was_done_and_repeats_no_yields():
    notebook = Notebook()
    with Tracked(tracker=notebook, name="round-1", before={"yield/pairs": 7}).opened(12):
        pass
    assert notebook.calls == [("start", "round-1", 13), ("finish", "finished")]


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("x"), "failed"), (KeyboardInterrupt(), "killed")]
)
def test_a_part_that_breaks_off_says_so(error, status):
    notebook = Notebook()
    with pytest.raises(type(error)), Tracked(tracker=notebook, name="a").opened():
        raise error
    assert notebook.calls[-1] == ("finish", status)


@pytest.mark.parametrize("where", ["start", "log", "finish"])
def test_a_tracker_that_fails_is_named_once_and_the_others_go_on(where, caplog):
    bad, good = Notebook(fails={where}), Notebook()
    tracker = CarefulTracker({"bad": bad, "good": good})
    with Tracked(tracker=tracker, name="a").opened() as log:
        for step in (1, 2, 3):
            log({"train/loss": 1.0}, step)
    with Tracked(tracker=tracker, name="b").opened() as log:
        log({"train/loss": 1.0}, 1)
    assert [call[:2] for call in good.calls] == [
        ("start", "a"), ("log", 1), ("log", 2), ("log", 3), ("finish", "finished"),
        ("start", "b"), ("log", 1), ("finish", "finished"),
    ]  # fmt: skip
    assert sum(call[0] == where for call in bad.calls) == 1
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "bad does not track any more (ConnectionError" in caplog.text


def test_a_tracker_given_alone_cannot_stop_a_training_either(caplog):
    with Tracked(tracker=Notebook(fails={"log"}), name="a").opened() as log:
        log({}, 1)
        log({}, 2)
    assert caplog.text.count("Notebook does not track any more") == 1


def test_a_warning_never_shows_a_secret(monkeypatch):
    monkeypatch.setenv("ACME_API_KEY", "sk-canary-1")
    text = "refused sk-canary-1 at https://me:word@host/x"
    assert without_secrets(text) == "refused *** at https://***@host/x"


def test_json_lines_hold_the_configuration_the_steps_and_the_status(tmp_path):
    tracker = JsonlTracker(tmp_path)
    with Tracked(tracker=tracker, name="round-1", config={"recipe": {"seed": 1}}).opened() as log:
        log({"train/loss": 0.5, "train/odd": float("nan")}, 1)
    rows = [json.loads(line) for line in (tmp_path / "round-1.jsonl").read_text().splitlines()]
    assert rows[0]["config"] == {"recipe": {"seed": 1}}
    assert {**rows[1], "time": 0} == {"step": 1, "time": 0, "train/loss": 0.5, "train/odd": None}
    assert rows[2]["status"] == "finished"


def test_json_lines_go_on_after_a_kill_without_doubling(tmp_path):
    path = tmp_path / "round-1.jsonl"
    tracker = JsonlTracker(tmp_path)
    tracker.start("round-1", {}, first=1)
    for step in range(1, 8):
        tracker.log({"train/loss": float(step)}, step)
    path.write_text(path.read_text()[:-9])  # the kill tears the last line
    with Tracked(tracker=JsonlTracker(tmp_path), name="round-1").opened(4) as log:
        log({"train/loss": -5.0}, 5)
    assert steps(path) == [1, 2, 3, 4, 5]
    assert read_steps(path)[-1]["train/loss"] == -5.0


def test_a_target_that_cannot_forget_is_spared_what_it_has_seen(tmp_path):
    made = []

    def make(group):
        made.append(group)
        return Notebook()

    def late():
        return LateTracker(make, Identity(tmp_path, "tiny"), "wandb-1", rewinds=False)

    before = late()
    before.start("round-1", {}, first=0)
    for step in range(6):
        before.log({}, step)
    after = late()
    after.start("round-1", {}, first=4)
    for step in range(4, 9):
        after.log({}, step)
    assert after._tracker.calls == [("start", "round-1", 6), *[("log", n, {}) for n in (6, 7, 8)]]
    assert made[0] == made[1]
    assert made[0].startswith("tiny-")
    other = LateTracker(make, Identity(tmp_path, "tiny"), "wandb-2", rewinds=False)
    other.start("round-1", {}, first=4)
    other.log({}, 4)
    assert other._tracker.calls == [("start", "round-1", 4), ("log", 4, {})]


def test_two_runs_of_one_recipe_never_share_a_name(tmp_path):
    first, second = (Identity(tmp_path / name, "tiny").group for name in "ab")
    assert first != second
    assert Identity(tmp_path / "a", "tiny").group == first


def test_nothing_is_written_before_something_is_tracked(tmp_path):
    open_trackers([], tmp_path / "tracking", project="tiny")
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_is_not_installed_is_named_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PluginError, match=r"mlflow.*pip install 'orality\[wandb,mlflow\]'"):
        open_trackers(options({"name": "wandb"}, {"name": "mlflow"}), tmp_path, project="tiny")


@pytest.mark.parametrize(
    "row",
    [
        {"name": "trackio", "space": "me/board"},
        {"name": "wandb", "mode": "online"},
        {"name": "mlflow", "tracking_uri": "https://mlflow.example"},
    ],
)
def test_local_only_refuses_trackers_elsewhere(row, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    with pytest.raises(CompatibilityError, match=f"{row['name']} sends data"):
        open_trackers(options(row), tmp_path, project="tiny", local_only=True)
    monkeypatch.setenv("ORALITY_LOCAL_ONLY", "1")
    with pytest.raises(CompatibilityError, match=f"{row['name']} sends data"):
        open_trackers(options(row), tmp_path, project="tiny")


def test_local_only_keeps_trackers_that_stay_here(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    for name in ("MLFLOW_TRACKING_URI", "TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    rows = options(*({"name": name} for name in TRACKERS))
    opened = open_trackers(rows, tmp_path, project="tiny", local_only=True)
    assert list(opened.names) == ["jsonl", "tensorboard", "trackio", "wandb", "mlflow"]


def with_tracking(*rows):
    return Recipe.parse({**Recipe.load("toy").model_dump(), "tracking": list(rows)})


@pytest.mark.parametrize(
    ("row", "place"),
    [
        ({"name": "wandb", "api_key": "sk-canary-1"}, "api_key: unknown key"),
        ({"name": "mlflow", "tracking_uri": "https://me:sk-canary-1@host"}, "tracking_uri: .*user"),
        ({"name": "trackio", "space": "me/board?token=sk-canary-1"}, "space"),
    ],
)
def test_a_secret_in_a_recipe_is_refused_without_being_shown(row, place):
    with pytest.raises(RecipeError, match=place) as caught:
        with_tracking(row)
    assert "sk-canary-1" not in "".join(traceback.format_exception(caught.value, chain=True))


def test_who_follows_a_run_is_no_part_of_its_fingerprint():
    followed = with_tracking({"name": "tensorboard"}, {"name": "wandb", "mode": "offline"})
    assert followed.fingerprint == Recipe.load("toy").fingerprint
    assert Recipe.parse(yaml.safe_load(followed.dump())) == followed


def test_the_command_line_s_trackers_take_the_place_of_the_recipe_s():
    recipe = with_tracking({"name": "wandb", "entity": "us"}, {"name": "mlflow"})
    assert with_trackers(recipe, None).tracking == recipe.tracking
    chosen = with_trackers(recipe, ["tensorboard", "wandb", "wandb"]).tracking
    assert [options.name for options in chosen] == ["tensorboard", "wandb"]
    assert chosen[1] == recipe.tracking[0]
    with pytest.raises(RecipeError, match="no tracker is called abacus; choose from jsonl"):
        with_trackers(recipe, ["abacus"])

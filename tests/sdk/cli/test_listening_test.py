from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orality.cli.commands import app
from orality.listening import read_key

FAKES = Path(__file__).parents[1] / "listening" / "listening_fakes.py"


@pytest.fixture(scope="module")
def fakes():
    spec = importlib.util.spec_from_file_location("listening_fakes", FAKES)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def invoke(*arguments):
    return CliRunner().invoke(app, ["listening-test", *map(str, arguments)])


def test_a_test_is_made_answered_and_analyzed(fakes, tmp_path):
    run = fakes.make_run(tmp_path / "run")
    out = tmp_path / "test"
    done = invoke("make", run, "--out", out, "--seed", 1, "--for", "page", "--for", "webmushra")
    assert done.exit_code == 0, done.output
    key = read_key(out)
    assert f"6 trials and 1 checks in 1 sets, test {key.test}" in done.stdout
    assert (out / "page" / "index.html").is_file()
    assert (out / "webmushra" / f"{key.test}-0.yaml").is_file()
    for rater in ("ann", "bob"):
        fakes.answer(tmp_path / "answers" / f"{rater}.json", key, rater, fakes.rating(key))
    done = invoke("analyze", out, tmp_path / "answers")
    assert done.exit_code == 0, done.output
    assert "2 raters gave 12 answers; 12 are counted." in done.stdout
    assert "judge/j/asr" in done.stdout
    data = json.loads((out / "analysis" / "analysis.json").read_text())
    assert set(data["scores"]) == set(fakes.SYSTEMS)


def test_further_systems_and_pairs_can_be_named(fakes, tmp_path):
    run = fakes.make_run(tmp_path / "run")
    fakes.speak(tmp_path / "truth" / "p1.wav", 5)
    done = invoke(
        "make", run, "--out", tmp_path / "test", "--kind", "preference",
        "--also", f"ground truth={tmp_path / 'truth'}", "--pair", "secret base=ground truth",
        "--checks", 0,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    [trial] = read_key(tmp_path / "test").trials.values()
    assert {sample.system for sample in trial.samples} == {"secret base", "ground truth"}


def test_a_pair_that_is_none_is_explained(fakes, tmp_path):
    done = invoke("make", tmp_path, "--out", tmp_path / "test", "--pair", "one")
    assert done.exit_code == 2
    assert "expected A=B" in done.output

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from orality.cli.commands import app
from orality.store import iterate_records


def run(*arguments, cwd=None, **environment):
    return subprocess.run(
        [sys.executable, "-m", "orality.cli", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **environment},
    )


def test_plugins_lists_what_is_installed():
    done = run("plugins")
    assert done.returncode == 0
    assert "judge:toy" in done.stdout


def test_check_needs_no_weights():
    done = run("check", "align-slm-7b", ORALITY_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    assert "mhubert-base-25hz/l11/km500" in done.stdout


def test_starting_the_command_line_imports_no_torch():
    code = "import sys, orality.cli.commands; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_ctrl_c_says_how_to_go_on():
    code = """
import sys, orality.cli, orality.run
def interrupted(*given, **named): raise KeyboardInterrupt
orality.run.build_pairs = interrupted
sys.argv = ["orality", "pairs", "toy"]
orality.cli.main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 130
    assert "the same command goes on from there" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["align", "tinny"], "no recipe is called 'tinny'"),
        (["align", "no/such.yaml"], "there is no recipe file no/such.yaml"),
        (["align", "toy", "--corpus", "nowhere"], "there is no corpus at nowhere"),
        (["train", "toy", "nowhere", "--out", "x"], "holds no pairs"),
    ],
)
def test_a_mistake_ends_in_one_message_without_a_traceback(tmp_path, arguments, message):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert "error:" in done.stderr
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_progress_is_plain_lines_when_nobody_watches(tmp_path):
    done = run("pairs", "toy", "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert "round-1: verdicts: " in done.stderr
    assert " pairs in " in done.stdout


def test_prompts_can_be_cut_at_three_seconds_sharp(tmp_path):
    done = CliRunner().invoke(app, ["pairs", "toy", "--fixed-3s", "--out", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    records = list(iterate_records(tmp_path / "run" / "prompts"))
    assert records
    assert {(row["cut"], row["cut_source"]) for row in records} == {(3.0, "fixed")}


@pytest.mark.parametrize("option", [("--by", "perplexity"), ("--round", "2"), ("--chosen", "4")])
def test_what_is_for_reselecting_alone_is_not_passed_over_in_silence(option):
    done = run("pairs", "toy", *option)
    assert done.returncode == 2
    assert "--reselect" in done.stderr

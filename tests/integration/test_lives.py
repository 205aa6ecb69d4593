"""Everything after the pairs survives kills, too; see `life_harness.py` for how that is done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(__file__).with_name("life_harness.py")


@pytest.mark.slow
def test_lives_that_are_killed_two_hundred_times_leave_what_an_unbroken_one_leaves(tmp_path):
    done = subprocess.run(
        [sys.executable, str(HARNESS), "--out", str(tmp_path), "--kills", "200"],
        capture_output=True, text=True, timeout=7200, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-5000:]
    facts = json.loads(done.stdout)
    assert sum(facts["kills"].values()) == 200
    assert min(facts["kills"].values()) >= 20, facts["kills"]
    assert facts["differing"] == []

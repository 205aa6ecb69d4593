from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TRAINING = """
import sys
from pathlib import Path

import numpy as np
import torch

from orality.testing.toy_slm import random_slm
from orality.training import Lora, Settings, train_dpo
from orality.types import PreferencePair, Units

torch.set_num_threads(1)
rng = np.random.default_rng(0)
draw = lambda length: Units(rng.integers(0, 19, length))
pairs = []
for prompt in range(7):  # groups of 1, 2 and 3 pairs, so that processes hold different numbers
    start, good = draw(4), draw(9)
    pairs += [
        PreferencePair(f"{prompt}-{i}", f"p{prompt}", start, good, draw(5 + i))
        for i in range(1 + prompt % 3)
    ]
train_dpo(
    random_slm(), pairs[:10], pairs[10:], out=Path(sys.argv[1]), lora=Lora(r=4),
    settings=Settings(
        learning_rate=1e-2, warmup_steps=1, steps=6, items_per_step=4, max_tokens=64,
        evaluate_every=3,
    ),
)
"""


def curve(out: Path, processes: int) -> list[dict[str, float]]:
    script = out.with_suffix(".py")
    script.write_text(TRAINING)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    done = subprocess.run(
        [sys.executable, *(launcher if processes > 1 else []), str(script), str(out)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_two_processes_train_as_one_does(tmp_path):
    one, two = curve(tmp_path / "one", 1), curve(tmp_path / "two", 2)
    assert [line["step"] for line in two] == [1, 2, 3, 4, 5, 6]
    for expected, got in zip(one, two, strict=True):
        for name in ("loss", "reward_margin", "gradient_norm"):
            # A margin is a small difference of sums of tens of nats, each exact to 1e-6 or so.
            assert got[name] == pytest.approx(expected[name], rel=1e-5, abs=1e-6)
    assert two[-1]["dev_loss"] == pytest.approx(one[-1]["dev_loss"], rel=1e-5)

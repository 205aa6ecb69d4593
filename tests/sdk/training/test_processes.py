from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orality.errors import TrainingError
from orality.training import train_dpo

TRAINING = """
import gc
import sys
from pathlib import Path

import numpy as np
import torch
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor

from orality.testing.toy_slm import random_slm
from orality.training import Lora, Settings, train_dpo
from orality.types import PreferencePair, Units

torch.set_num_threads(1)
shard = sys.argv[2] == "shard"
rng = np.random.default_rng(0)
draw = lambda length: Units(rng.integers(0, 19, length))
pairs = []
for prompt in range(7):  # groups of 1, 2 and 3 pairs, so that processes hold different numbers
    start, good = draw(4), draw(9)
    pairs += [
        PreferencePair(
            f"{prompt}-{i}", f"p{prompt}", start, good, draw(5 + i),
            metadata={"draw": "tied"} if i else {},  # the second and third are alternatives
        )
        for i in range(1 + prompt % 3)
    ]
slm, held = random_slm(), []
weights = {name: weight.clone() for name, weight in slm.module.named_parameters()}

def look(*args):  # how much of the frozen weights this process holds in the end
    parts = [part for part in gc.get_objects() if isinstance(part, FSDPModule)]
    shards = {id(w): w for part in parts for w in part.parameters() if isinstance(w, DTensor)}
    held.append(sum(w.to_local().numel() for w in shards.values()))

train_dpo(
    slm, pairs[:10], pairs[10:], out=Path(sys.argv[1]), lora=Lora(r=4), progress=look,
    settings=Settings(
        learning_rate=1e-2, warmup_steps=1, steps=6, items_per_step=4, max_tokens=64,
        evaluate_every=3, shard=shard,
    ),
)
if shard:
    total = sum(weight.numel() for weight in weights.values())
    assert .4 < max(held) / total < .6, (held, total)
for name, weight in slm.module.named_parameters():
    assert type(weight) is torch.nn.Parameter and weight.equal(weights[name]), name
"""


def curve(out: Path, processes: int, shard: str = "whole") -> list[dict[str, float]]:
    script = out.with_suffix(".py")
    script.write_text(TRAINING)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    done = subprocess.run(
        [sys.executable, *(launcher if processes > 1 else []), str(script), str(out), shard],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("shard", ["whole", "shard"])
def test_two_processes_train_as_one_does(shard, tmp_path):
    one = curve(tmp_path / "one", 1)
    two = curve(tmp_path / "two", 2, shard)
    assert [line["step"] for line in two] == [1, 2, 3, 4, 5, 6]
    for expected, got in zip(one, two, strict=True):
        for name in ("loss", "reward_margin", "gradient_norm"):
            # A margin is a small difference of sums of tens of nats, each exact to 1e-6 or so.
            assert got[name] == pytest.approx(expected[name], rel=1e-5, abs=1e-6)
    assert two[-1]["dev_loss"] == pytest.approx(one[-1]["dev_loss"], rel=1e-5)


def test_a_launcher_that_would_shard_by_itself_is_refused(slm, make_pairs, tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(TrainingError, match="set shard=True"):
        train_dpo(slm, make_pairs(2), out=tmp_path)

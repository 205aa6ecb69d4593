"""Kills whole lives, from pairs to a pushed adapter and a pretrained stack, and reports as JSON
what became of them.

    python tests/integration/life_harness.py --out DIR --kills 200

A life is the commands of `COMMANDS` in their order, on one folder. Every command is a fork of this
process, which has imported what is expensive; it is killed by a real SIGKILL after a random part of
the time that it takes unbroken, and given again, until it has had its share of the kills; then it
goes through. What a life leaves is compared with what an unbroken one leaves (`values`).
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import re
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import yaml

COMMANDS = ("pairs", "train", "align", "report", "push", "pretrain")  # align evaluates, too
RATE = 16_000
MICRO: dict[str, Any] = {
    "name": "micro",
    "speech": {"corpus": "recordings"},
    "quantizer": {
        "targets": "mfcc", "iterations": 2, "units": 8, "width": 16, "layers": 2, "steps": 2,
    },
    "unit_lm": {
        "hidden_size": 32, "layers": 1, "context_length": 64, "steps": 4, "batch_tokens": 128,
    },
    "vocoder": {"channels": 16, "steps": 2},
}  # fmt: skip
_MOMENT = re.compile(rb"20\d\d-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?Z?)?")
# What may differ between two runs of the same bytes: moments, durations, and what the machine did.
PASSING = {
    "created", "date", "duration_s", "ended", "finished", "made", "pairs_per_second",
    "peak_memory_bytes", "rows_per_second", "seconds", "started", "time", "timestamp",
    "tokens_per_second", "wall_s", "written",
}  # fmt: skip


def write_inputs(out: Path) -> None:
    """The recipe of the run, the recipe of the stack, and recordings to pretrain on."""
    from orality import Recipe, Waveform, write_audio

    data = Recipe.load("toy").model_dump(mode="json")
    data["corpus"] |= {"max_prompts": 8, "max_dev_prompts": 3}
    data["sampling"] |= {"samples_per_prompt": 3, "max_seconds": 0.6}
    data["shard_size"] = 4
    data["evaluation"] |= {"prompts": 3, "temperatures": [], "limit": 6}
    data["baselines"] = {"fine_tuned": False, "perplexity": False}
    (out / "run.yaml").write_text(Recipe.parse(data).dump())
    (out / "stack.yaml").write_text(yaml.safe_dump(MICRO))
    for number in range(12):
        rng = np.random.default_rng(number)
        moments = np.arange(RATE // 5) / RATE
        notes = [np.sin(2 * np.pi * rng.choice([200, 450, 900]) * moments) for _ in range(8)]
        samples = 0.3 * np.concatenate(notes) + 0.01 * rng.standard_normal(8 * len(moments))
        voice = "ada" if number % 2 else "ben"
        file = out / "recordings" / voice / f"{number}.flac"
        write_audio(file, Waveform(samples.astype(np.float32), RATE))


def arguments(command: str, out: Path, life: Path) -> list[str]:
    run, recipe = str(life / "run"), str(out / "run.yaml")
    return {
        "pairs": ["pairs", recipe, "--out", run],
        "train": ["train", recipe, f"{run}/round-1/pairs", "--out", str(life / "trained")],
        "align": ["align", recipe, "--out", run],
        "report": ["report", run],
        "push": ["push", run, "--to", str(life / "pushed")],
        "pretrain": [
            "pretrain", str(out / "stack.yaml"), "--corpus", str(out / "recordings"),
            "--out", str(life / "stack"),
        ],
    }[command]  # fmt: skip


def fork(command: list[str], log: Path) -> int:
    """The pid of a process that runs the command line in this one's place."""
    pid = os.fork()
    if pid:
        return pid
    os.setpgid(0, 0)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    sys.argv = ["orality", *command]
    code = 1
    try:
        from orality.cli import main

        main()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def ended(pid: int, seconds: float) -> int | None:
    """The exit code, minus the signal that ended it, or None when it still runs after that time."""
    end = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            return None
        time.sleep(0.002)


def go_through(command: list[str], log: Path) -> float:
    """Seconds that the command takes; SystemExit with its output where it fails."""
    begun = time.monotonic()
    code = ended(fork(command, log), 600)
    if code != 0 or "Traceback" in log.read_text():
        raise SystemExit(f"{' '.join(command)} ended with {code}:\n{log.read_text()[-5000:]}")
    return time.monotonic() - begun


def killed(command: list[str], log: Path, after: float) -> bool:
    """Whether the command was still at work after that many seconds, and was killed."""
    pid = fork(command, log)
    code = ended(pid, after)
    if code is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        code = ended(pid, 60)
    if code not in (0, -signal.SIGKILL) or "Traceback" in log.read_text():
        raise SystemExit(f"{' '.join(command)} ended with {code}:\n{log.read_text()[-5000:]}")
    return code != 0


def lasting(value: Any, folder: str) -> Any:
    """JSON data without what passes, and without the life's own folder."""
    if isinstance(value, dict):
        lasts = {k: v for k, v in value.items() if k.rpartition("/")[2] not in PASSING}
        return {k: lasting(v, folder) for k, v in lasts.items()}
    if isinstance(value, list):
        return [lasting(item, folder) for item in value]
    return value.replace(folder, "") if isinstance(value, str) else value


def values(life: Path) -> dict[str, str]:
    """sha256 of every file's lasting content, by its path."""
    found = {}
    for path in sorted(p for p in life.rglob("*") if p.is_file()):
        name, content = path.relative_to(life).as_posix(), path.read_bytes()
        if name.endswith((".log", "metrics.jsonl", "report.html", "environment.json")):
            continue
        if path.name == "provenance.json":  # digests of all, the dated card's too
            content = json.dumps({**json.loads(content), "files": None}).encode()
        if path.suffix in (".json", ".jsonl"):
            rows = [json.loads(content)] if path.suffix == ".json" else []
            rows = rows or [json.loads(line) for line in content.splitlines()]
            content = json.dumps([lasting(row, str(life)) for row in rows]).encode()
        content = _MOMENT.sub(b"", content.replace(str(life).encode(), b""))
        found[name] = hashlib.sha256(content).hexdigest()
    return found


def campaign(out: Path, kills: int, seed: int) -> dict[str, Any]:
    """Lives until that many kills were had, spread evenly over the commands."""
    write_inputs(out)
    draw, log = random.Random(seed), out / "unbroken.log"
    seconds = {c: go_through(arguments(c, out, out / "unbroken"), log) for c in COMMANDS}
    expected = values(out / "unbroken")
    facts: dict[str, Any] = {
        "kills": dict.fromkeys(COMMANDS, 0), "lives": 0, "files": len(expected), "differing": [],
    }  # fmt: skip
    begun = time.monotonic()
    while sum(facts["kills"].values()) < kills:
        facts["lives"] += 1
        life = out / f"life-{facts['lives']}"
        log = out / f"life-{facts['lives']}.log"
        for command in COMMANDS:
            given = arguments(command, out, life)
            share = kills // len(COMMANDS) + (COMMANDS.index(command) < kills % len(COMMANDS))
            for _ in range(min(3, share - facts["kills"][command])):
                if not killed(given, log, draw.uniform(0.0, seconds[command])):
                    break
                facts["kills"][command] += 1
            go_through(given, log)
        found = values(life)
        different = [n for n in {*expected, *found} if expected.get(n) != found.get(n)]
        facts["differing"] += [f"{life.name}/{name}" for name in sorted(different)]
    facts["seconds"] = round(time.monotonic() - begun, 1)
    return facts


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--kills", type=int, default=12)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)

    import torch

    torch.set_num_threads(1)  # a fork of a process with threads may hang
    import orality.cli.commands
    import orality.pretraining
    import orality.report
    import orality.run.curriculum
    import orality.sharing
    import orality.training

    orality.load()
    print(json.dumps(campaign(given.out, given.kills, given.seed)))


if __name__ == "__main__":
    main()

from __future__ import annotations

import hashlib
import json
import math
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from orality.audio import write_audio
from orality.evaluation.results import Comparison, Metric, Results, System, write_results
from orality.evaluation.statistics.intervals import Interval
from orality.feedback.schemas import CONTINUATIONS, PAIRS, PROMPTS, SPEECH, TRANSCRIPTS, VERDICTS
from orality.store import write_json, write_shard
from orality.types import Waveform

EVIL = '<img src=x onerror="alert(1)"></script><script>alert(2)</script>'
TALE = "the fox ran over a small hill and then the rain began to fall on every quiet house"
WORDS = TALE.split()
RECIPE = {
    "name": "tiny",
    "description": "a run made by hand",
    "seed": 1,
    "selection": {"max_auto_bleu": 0.1},
    "rounds": [{"rejected": 1.5, "chosen": 3}, {"rejected": 2, "chosen": 4}],
    "training": {"beta": 0.1, "learning_rate": 5e-4},
}


COMMAND = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "transformers", "peft"} or "orality_" in name:
            raise ImportError(f"{name} is not installed")

def load(*_, **__):
    raise AssertionError("a report needs no component")

sys.meta_path.insert(0, Refuse())
import orality.plugins
orality.plugins.load = load
from orality.cli import main
sys.argv = ["orality", "report", *sys.argv[1:]]
main()
"""


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run and its report, only to be read: 4 prompts, 1 held out, 2 rounds of 3.

    The report is made as a user makes it, where no component and no model library can be imported;
    `stored.json` beside the run has the digests of what was there before.
    """
    run = make_run(tmp_path_factory.mktemp("finished") / "run")
    stored = {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in run.rglob("*")
        if path.is_file()
    }
    (run.parent / "stored.json").write_text(json.dumps(stored))
    made = subprocess.run([sys.executable, "-c", COMMAND, str(run)], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    assert made.stdout == f"{run / 'report.html'}\n"
    return run


@pytest.fixture(scope="session")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a dozen held-out prompts, only to be read; its report is not written."""
    return make_run(tmp_path_factory.mktemp("compared") / "run", held_out=12, seconds=1.0)


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """The same run without its page and figures, to be changed."""
    return shutil.copytree(
        finished, tmp_path / "run", ignore=shutil.ignore_patterns("report.html", "figures")
    )


def make_run(
    out: Path, *, prompts: int = 4, held_out: int = 1, samples: int = 3, seconds: float = 0.4
) -> Path:
    draw = random.Random(3)
    out.mkdir(parents=True)
    (out / "recipe.yaml").write_text(yaml.safe_dump(RECIPE, sort_keys=False))
    write_json(out / "manifest.json", MANIFEST)
    rows = [
        _prompt(out, f"story-{index:03d}", "test" if index >= prompts else "train", seconds, draw)
        for index in range(prompts + held_out)
    ]
    _shard(out / "prompts", rows, PROMPTS)
    for number in (1, 2):
        _round(out, number, rows[:prompts], samples, seconds, draw)
    for shift, system in enumerate(SYSTEMS):
        _evaluation(out, system.name, rows[prompts:], shift, seconds, draw)
    write_results(out / "results.json", results())
    return out


MANIFEST = {
    "version": 1,
    "fingerprint": "0f" * 32,
    "started": "2026-11-21T10:00:00Z",
    "command": "orality align tiny",
    "python": "3.11.7",
    "distributions": {"orality": "0.1.0", "torch": "2.13.0"},
    "recipe": "tiny",
    "seed": 1,
    "components": {
        "slm": {
            "name": "twist", "checkpoint": "tiny", "dtype": "float32",
            "distribution": "orality-slm-twist", "version": "0.1.0",
        },
        "judge": {
            "name": "likelihood", "checkpoint": "smollm2-135m-instruct",
            "distribution": "orality-judge-likelihood", "version": "0.1.0",
        },
    },
    "weights": {
        "slm": [
            {
                "file": "tiny/model.safetensors", "bytes": 8_123_456, "sha256": "ab" * 32,
                "hashed": "when built",
            },
        ],
        "judge": [],
    },
}  # fmt: skip
SYSTEMS = [
    System("pre-trained"),
    System("aligned round 1", "", "round-1/adapter"),
    System("aligned round 2", "", "round-1/adapter, round-2/adapter"),
]


def results() -> Results:
    """Round 2 is really better in the judge's score; round 1 is higher, not significantly."""
    figures: dict[str, Any] = {
        "judge/likelihood/moonshine": ("prompts", [2.41, 2.63, 3.02], 0.35, [0.21, 0.004]),
        "auto-bleu/align-slm/moonshine": ("prompts", [0.081, 0.072, 0.064], 0.03, [0.6, 0.4]),
        "sblimp": ("sBLIMP", [0.552, 0.553, 0.549], 0.02, [0.9, 0.9]),
    }
    metrics, tests = [], []
    for metric, (benchmark, values, half, holm) in figures.items():
        for index, (system, value) in enumerate(zip(SYSTEMS, values, strict=True)):
            ci = Interval("cluster-bootstrap", 0.95, value - half, value + half)
            metrics.append(Metric(system.name, metric, benchmark, None, value, 40, 0, 0, ci))
            if index:
                change = value - values[0]
                ci = Interval("paired-bootstrap", 0.95, change - half / 2, change + half / 2)
                p = holm[index - 1]
                names = (system.name, SYSTEMS[0].name)
                test = (change, ci, p / 2, p, "paired-permutation", 40)
                tests.append(Comparison(metric, benchmark, None, *names, *test))
    return Results(SYSTEMS, metrics, tests, {"baseline": "pre-trained"}, "tiny")


def _prompt(out: Path, key: str, split: str, seconds: float, draw: random.Random) -> dict[str, Any]:
    audio = f"prompts/audio/{key}.flac"
    _speak(out / audio, draw, seconds + 0.2)
    return {
        "id": key, "split": split, "language": "en", "audio": f"{key}.ogg", "prompt_audio": audio,
        "prompt_text": _say(draw, 9), "continuation_text": _say(draw, 12), "text": "",
        "units": [1, 2, 3], "utterance_units": [1, 2, 3, *_units(key, 0.0)], "cut": 1.2,
    }  # fmt: skip


def _round(
    out: Path,
    number: int,
    prompts: list[dict[str, Any]],
    samples: int,
    seconds: float,
    draw: random.Random,
) -> None:
    name = f"round-{number}"
    tables: dict[str, list[dict[str, Any]]] = {
        key: [] for key in ("continuations", "speech", "transcripts", "verdicts", "pairs")
    }
    for prompt in prompts:
        for index in range(samples):
            key = {"id": f"{prompt['id']}-{index}", "prompt_id": prompt["id"]}
            first = index == 0 and prompt is prompts[0] and number == 1
            text = "" if draw.random() < 0.08 else _say(draw, draw.randint(6, 14))
            text = EVIL if first else text
            score = (3.2 + 0.5 * number, 1.2)[index] if index < 2 else min(5, draw.uniform(1, 4.6))
            audio = f"{name}/audio/{key['id']}.flac"
            _speak(out / audio, draw, seconds)
            tables["continuations"].append({**key, "index": index, "units": [4, 5]})
            tables["speech"].append({**key, "audio": audio, "seconds": 1.0})
            bleu = max(0.0, draw.gauss(0.02, 0.08)) if index else 0.0
            tables["transcripts"].append({**key, "text": text, "auto_bleu": bleu})
            tables["verdicts"].append(
                {**key, "score": score, "rationale": "", "metrics": '{"perplexity": 31.5}'}
            )
        tables["pairs"].append(
            {
                "id": prompt["id"], "prompt_id": prompt["id"], "split": prompt["split"],
                "chosen_id": f"{prompt['id']}-0", "rejected_id": f"{prompt['id']}-1",
            }
        )  # fmt: skip
    schemas = (CONTINUATIONS, SPEECH, TRANSCRIPTS, VERDICTS, PAIRS)
    for (stage, rows), schema in zip(tables.items(), schemas, strict=True):
        _shard(out / name / stage, rows, schema)
    train = out / name / "train"
    (train / "adapter").mkdir(parents=True)
    (train / "adapter" / "adapter_model.safetensors").write_bytes(b"")
    lines = []
    for step in range(1, 31):
        row: dict[str, Any] = {
            "step": step,
            "loss": 0.7 * math.exp(-step / 40) + draw.gauss(0, 0.01),
            "reward_accuracy": min(1, 0.5 + step / 70 + draw.gauss(0, 0.05)),
            "reward_margin": step / 100,
        }
        if step % 5 == 0:
            row |= {"dev_loss": row["loss"] + 0.03, "dev_reward_accuracy": 0.5 + step / 100}
        lines.append(json.dumps(row))
    (train / "metrics.jsonl").write_text("\n".join(lines) + '\n{"step": 31, "lo')


def _evaluation(
    out: Path,
    system: str,
    prompts: list[dict[str, Any]],
    shift: int,
    seconds: float,
    draw: random.Random,
) -> None:
    from orality.evaluation.continuations.sample import SAMPLES

    rows = []
    for prompt in prompts:
        key = f"{prompt['id']}-0"
        audio = f"{system}/samples/audio/{key}.flac"
        _speak(out / "evaluation" / audio, draw, seconds)
        rows.append(
            {
                "id": key, "prompt_id": prompt["id"], "audio": audio, "text": _say(draw, 10),
                "auto_bleu": 0.04, "score": 2.0 + shift, "perplexity": 40.0,
                "units": _units(key + system, 0.8),
            }
        )  # fmt: skip
    _shard(out / "evaluation" / system / "samples", rows, SAMPLES)


def _units(name: str, odd: float) -> list[int]:
    """Forty units, of which the share `odd` is drawn from the upper half of the codebook."""
    draw = random.Random(name)
    return [draw.randrange(10) + (10 if draw.random() < odd else 0) for _ in range(40)]


def _say(draw: random.Random, words: int) -> str:
    return " ".join(draw.choice(WORDS) for _ in range(words)) + "."


def _shard(folder: Path, rows: list[dict[str, Any]], schema: Any) -> None:
    write_shard(folder, [{name: row.get(name) for name in schema.names} for row in rows], schema)


def _speak(path: Path, draw: random.Random, seconds: float) -> None:
    time = np.arange(int(16_000 * seconds)) / 16_000
    swell = 0.55 + 0.45 * np.sin(2 * np.pi * draw.uniform(1, 3) * time + draw.uniform(0, 6))
    tone = np.sin(2 * np.pi * draw.uniform(120, 300) * time)
    write_audio(path, Waveform((0.3 * swell * tone).astype(np.float32), 16_000))

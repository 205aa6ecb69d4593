"""A run of two rounds as it lies on disk, with the shipped model and adapters that do something."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

import orality
from orality import Recipe, Waveform, write_audio
from orality.evaluation.results import Comparison, Metric, Results, System, write_results
from orality.evaluation.statistics.intervals import Interval
from orality.feedback import schemas
from orality.store import write_json, write_shard
from orality.training import adapted, policy_fingerprint, save_adapter

BASE_SHA = "43dab6c82d41fe0f49303595ee2b6d7b3a94cbefeeda90cc38e6a2a597abfc23"
TEXTS = {"chosen": "and ran all the way home", "rejected": "ran ran ran"}


def interval(low, high):
    return Interval("cluster-bootstrap", 0.95, low, high)


def some_results():
    def metric(system, name, benchmark, value, low, high):
        return Metric(system, name, benchmark, None, value, 200, 1, 2, interval(low, high))

    rows = [
        metric("pre-trained", "swuggy/mean", "sWUGGY", 0.7, 0.6, 0.8),
        metric("aligned round 1", "swuggy/mean", "sWUGGY", 0.72, 0.62, 0.82),
        metric("aligned round 2", "swuggy/mean", "sWUGGY", 0.765, 0.705, 0.82),
        metric("pre-trained", "judge/likelihood/whisper", "prompts", 3.0, 2.5, 3.5),
        metric("aligned round 2", "judge/likelihood/whisper", "prompts", 3.25, 3.125, 3.375),
    ]
    test = Comparison(
        "swuggy/mean", "sWUGGY", None, "aligned round 2", "pre-trained", 0.065,
        interval(0.01, 0.12), 0.021, 0.042, "mcnemar-exact", 200,
    )  # fmt: skip
    source = {"kind": "swuggy", "source": "stories/swuggy", "pairs": 200, "sha256": "c18d" * 16}
    return Results(
        systems=[System(name) for name in ("pre-trained", "aligned round 1", "aligned round 2")],
        results=rows,
        comparisons=[test],
        settings={"baseline": "pre-trained", "prompts": 60, "benchmarks": {"sWUGGY": source}},
        recipe="tiny",
    )


def write_stages(run, texts=TEXTS):
    """Two prompts; the first has pairs in both rounds, one a dev pair."""
    prompts = [
        {
            "id": f"p{index}", "split": split, "language": "en", "units": [1, 2, 3],
            "prompt_text": f"tom lost his kite {index}", "prompt_audio": f"prompts/p{index}.flac",
        }
        for index, split in enumerate(["train", "dev"])
    ]  # fmt: skip
    write_shard(run / "prompts", prompts, schemas.PROMPTS)
    for prompt in prompts:
        write_audio(run / prompt["prompt_audio"], Waveform(np.zeros(160, np.float32), 16_000))
    for stage, chosen in (("round-1", prompts), ("round-2", prompts[:1])):
        drawn = [(f"{row['id']}-{k}", row["id"]) for row in chosen for k in (0, 1)]
        names = {f"{row['id']}-0": "chosen" for row in chosen}
        rows = [
            {"id": name, "prompt_id": prompt, "text": texts[names.get(name, "rejected")]}
            for name, prompt in drawn
        ]
        write_shard(run / stage / "transcripts", rows, schemas.TRANSCRIPTS)
        write_shard(run / stage / "continuations", rows, schemas.CONTINUATIONS)
        speech = [{**row, "audio": f"{stage}/audio/{row['id']}.flac"} for row in rows]
        write_shard(run / stage / "speech", speech, schemas.SPEECH)
        for row in speech:
            write_audio(run / row["audio"], Waveform(np.zeros(320, np.float32), 16_000))
        pairs = [
            {
                "id": row["id"], "prompt_id": row["id"], "split": row["split"],
                "prompt_units": [1, 2, 3], "chosen_units": [4, 5], "rejected_units": [6],
                "chosen_id": f"{row['id']}-0", "rejected_id": f"{row['id']}-1",
                "chosen_score": 4.0, "rejected_score": 1.0, "chosen_auto_bleu": 0.0,
                "rejected_auto_bleu": 1.0, "reference": "ab" * 32,
                "reference_chosen": -2.5, "reference_rejected": -1.25,
            }
            for row in chosen
        ]  # fmt: skip
        write_shard(run / stage / "pairs", pairs, schemas.PAIRS)


def write_adapters(run):
    slm = orality.build("slm", "twist")
    for number in (1, 2):
        with adapted(slm, r=4, alpha=8, dropout=0.0, seed=number) as policy:
            torch.manual_seed(number)
            for name, weight in policy.module.named_parameters():
                if "lora_B" in name:
                    torch.nn.init.normal_(weight, std=0.05)
            save_adapter(
                policy, run / f"round-{number}" / "train" / "adapter", base=policy_fingerprint(slm)
            )


def manifest():
    def part(kind, name, checkpoint):
        package = f"orality-{kind}-{name}"
        return {
            "name": name, "checkpoint": checkpoint, "distribution": package, "version": "0.1.0"
        }  # fmt: skip

    return {
        "version": 1, "fingerprint": "f" * 64, "started": "2026-11-21T17:52:24Z", "seed": 1,
        "command": "orality align --out /home/me/secret-project", "platform": "Linux-my-machine",
        "python": "3.11.7", "distributions": {"orality": "0.1.0", "torch": "2.13.0"},
        "components": {
            "tokenizer": part("tokenizer", "hubert", "tiny"), "slm": part("slm", "twist", "tiny"),
            "judge": part("judge", "likelihood", "smollm2-135m-instruct"),
        },
        "weights": {
            "slm": [{"file": "tiny/model.safetensors", "bytes": 6_642_496, "sha256": BASE_SHA}],
            "judge": [],
        },
    }  # fmt: skip


@pytest.fixture
def write_texts():
    """Give a run other transcripts."""
    return lambda run, text: write_stages(run, {"chosen": text, "rejected": text})


@pytest.fixture(scope="session")
def stored_run(tmp_path_factory):
    run = tmp_path_factory.mktemp("stored") / "run"
    run.mkdir()
    data = Recipe.load("tiny").model_dump()
    data["rounds"] = [{"rejected": 1, "chosen": 3}, {"rejected": 2, "chosen": 4}]
    data["selection"] = {"max_auto_bleu": 0.1}
    data["training"] |= {"learning_rate": 0.0005}
    recipe = Recipe.parse(data).with_corpus("/home/me/secret-project/recordings")
    (run / "recipe.yaml").write_text(recipe.dump())
    write_json(run / "manifest.json", manifest())
    write_stages(run)
    write_adapters(run)
    write_results(run / "results.json", some_results())
    return run


@pytest.fixture
def run(stored_run, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(stored_run, tmp_path / "run")

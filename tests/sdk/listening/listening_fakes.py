"""Samples with short recordings, a run that holds them, and raters who answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orality.audio import write_audio
from orality.evaluation.continuations.sample import SAMPLES
from orality.evaluation.results import Metric, Results, System, write_results
from orality.feedback.schemas import PROMPTS
from orality.listening import Key, Sample, rater_order
from orality.store import write_json, write_shard
from orality.types import Waveform

SYSTEMS = ("secret base", "secret aligned")


def speak(path: Path, number: int, seconds: float = 0.3) -> Path:
    """A glide that is another one backwards; `number` makes it its own."""
    time = np.arange(int(16_000 * seconds)) / 16_000
    pitch = 150 + 17 * number + 300 * time / seconds
    write_audio(path, Waveform((0.4 * np.sin(2 * np.pi * pitch * time)).astype(np.float32), 16_000))
    return path


def make_samples(
    folder: Path, *, prompts: int = 4, systems: Sequence[str] = SYSTEMS
) -> list[Sample]:
    """One sample a prompt and system; the judge finds later systems and later prompts better."""
    samples = []
    for p in range(prompts):
        prompt = speak(folder / f"prompt-{p}.wav", p)
        for s, system in enumerate(systems):
            audio = speak(folder / f"secret-{s}-{p}.wav", 10 * (s + 1) + p)
            name = f"secret-prompt-{p}"
            samples.append(Sample(f"{name}-0", name, system, prompt, audio, 1.0 + s + p / prompts))
    return samples


def make_run(run: Path, *, prompts: int = 3) -> Path:
    """A run folder with an evaluation of two systems, two samples a prompt."""
    write_json(run / "manifest.json", {"version": 1})
    (run / "recipe.yaml").write_text("name: fake\n")
    rows = []
    for p in range(prompts):
        audio = speak(run / f"prompts/audio/p{p}.wav", p)
        rows.append({"id": f"p{p}", "split": "test", "prompt_audio": str(audio.relative_to(run))})
    write_shard(run / "prompts", _filled(rows, PROMPTS), PROMPTS)
    for s, system in enumerate(SYSTEMS):
        samples = []
        for p in range(prompts):
            for index in range(2):
                place = f"{system}/samples/audio/p{p}-{index}.wav"
                speak(run / "evaluation" / place, 10 * s + p)
                samples.append(
                    {"id": f"p{p}-{index}", "prompt_id": f"p{p}", "audio": place, "score": 2.0 + s}
                )
        write_shard(run / "evaluation" / system / "samples", _filled(samples, SAMPLES), SAMPLES)
    metrics = [Metric(s, "judge/j/asr", "prompts", None, 2.0, 6, 0, 0, None) for s in SYSTEMS]
    write_results(run / "results.json", Results([System(s) for s in SYSTEMS], metrics))
    return run


def answer(
    path: Path, key: Key, rater: str, choose: Callable[[str], Any], *, seed: int = 1, part: int = 0
) -> Path:
    """What the page would save for a rater who answers each trial by `choose`."""
    answers = [{"trial": t, "answer": choose(t)} for t in rater_order(seed, key.sets[part])]
    data = {
        "version": 1, "test": key.test, "kind": key.kind, "rater": rater, "seed": seed,
        "set": part, "answers": answers,
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))
    return path


def rating(key: Key, *, offset: int = 0) -> Callable[[str], int]:
    """An attentive rater: 1 for what runs backwards, else 2 or 4 by system, and by prompt more."""

    def rate(name: str) -> int:
        trial = key.trials[name]
        if trial.check:
            return 1
        better = trial.samples[0].system == SYSTEMS[1]
        return int(np.clip(2 + 2 * better + offset + int(trial.prompt[-1]) % 2, 1, 5))

    return rate


def _filled(rows: list[dict[str, Any]], schema: Any) -> list[dict[str, Any]]:
    return [{name: row.get(name) for name in schema.names} for row in rows]

"""A language model over toy tones that needs no torch, and a benchmark whistled for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orality.audio import write_audio
from orality.evaluation import Results, SamplingSetup, evaluate_systems
from orality.feedback import ConfiguredJudge
from orality.testing.tones import whistle
from orality.testing.toy import UNIT_SPEC
from orality.types import Sample, Units


class UnigramSLM:
    """Likes low units: unit u has the log-probability -1 - u * `dislike`, whatever came before."""

    unit_spec = UNIT_SPEC

    def __init__(self, dislike: float = 0.1, *, context_length: int = 512) -> None:
        self.dislike, self.context_length = dislike, context_length
        self.scored = self.drawn = 0

    def log_likelihood(self, batch: Sequence[Units], *, convention: str = "no_bos") -> list[float]:
        self.scored += len(batch)
        first = 1 if convention == "no_bos" else 0
        extra = 0.0 if convention == "no_bos" else -1.0
        return [float(np.sum(-1 - self.dislike * u.ids[first:])) + extra for u in batch]

    def generate(self, prompts, *, num_samples, max_new_units, sampling, seeds):
        self.drawn += len(prompts)
        results = []
        for seed in seeds:
            rng = np.random.default_rng(seed)
            weights = np.exp(-self.dislike * np.arange(UNIT_SPEC.vocab_size))
            ids = [
                rng.choice(len(weights), size=max_new_units, p=weights / weights.sum())
                for _ in range(num_samples)
            ]
            results.append([Sample(Units(row.astype(np.int64)), -1.0) for row in ids])
        return results


def melody(*ids: int) -> Units:
    return Units.of(ids)


def write_stories(folder: Path, pairs: Sequence[tuple[Units, Units]]) -> Path:
    """A StoryCloze folder of (correct, incorrect) melodies."""
    for number, (right, wrong) in enumerate(pairs):
        write_audio(folder / f"{2 * number}_{number}_correct.wav", whistle(right))
        write_audio(folder / f"{2 * number + 1}_{number}_incorrect.wav", whistle(wrong))
    return folder


def run_evaluation(**arguments: Any) -> Results:
    """`evaluate_systems`, with the arguments of its setup and of the setup's judge among others."""
    judge: dict[str, Any] = {"name": "judge"} | {
        name: arguments.pop(key)
        for key, name in (("judge_name", "name"), ("reads", "reads"), ("scale", "scale"))
        if key in arguments
    }
    built = arguments.pop("judge", None)
    names = [field.name for field in dataclasses.fields(SamplingSetup)]
    chosen = {name: arguments.pop(name) for name in names if name in arguments}
    setup = None
    if built is not None:
        setup = SamplingSetup(
            judge=ConfiguredJudge(build=lambda: built, **judge),
            **{"vocoder": None, "transcriber": None, **chosen},
        )
    return evaluate_systems(setup=setup, seed=chosen.get("seed", 0), **arguments)

"""A round whose components cost nothing, and whose every record depends on what it was made of."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orality import JudgeRequest, Sample, Transcript, Units, Verdict, Waveform
from orality.feedback import ConfiguredJudge, Prompts, Round, Selection
from orality.feedback.schemas import PROMPTS
from orality.store import put_shard, shard_path
from orality.types import SamplingOptions

RATE = 8000


class Policy:
    """Draws 6 to 12 units from a prompt's seed."""

    def generate(
        self, prompts: Sequence[Units], *, num_samples: int, seeds: Sequence[int], **_: Any
    ) -> list[list[Sample]]:
        return [[self._draw(seed, index) for index in range(num_samples)] for seed in seeds]

    def _draw(self, seed: int, index: int) -> Sample:
        random = np.random.default_rng([seed, index])
        return Sample(Units(random.integers(0, 20, random.integers(6, 13))), -float(index))


class Voice:
    """20 ms for each unit."""

    def synthesize(self, batch: Sequence[Units]) -> list[Waveform]:
        random = np.random.default_rng(0).normal(0, 0.1, 160).astype(np.float32)
        return [Waveform(np.concatenate([random * (1 + u) / 20 for u in i.ids]), RATE)
                for i in batch]  # fmt: skip


class Ears:
    """A word for the loudness of every 40 ms."""

    def transcribe(self, batch: Sequence[Waveform]) -> list[Transcript]:
        return [Transcript(" ".join(map(str, self._loudness(item)))) for item in batch]

    def _loudness(self, waveform: Waveform) -> list[int]:
        return [int(part.std() * 1000) for part in np.array_split(waveform.samples, 4)]


class Reader:
    """1 to 5 by a checksum of the text."""

    def score(self, requests: Sequence[JudgeRequest]) -> list[Verdict]:
        return [
            Verdict(1.0 + zlib.crc32((request.continuation_text or "").encode()) % 5)
            for request in requests
        ]


def write_prompts(folder: Path, sizes: dict[str, int]) -> Prompts:
    """Shards of as many prompts; in each the last row is a recording that was skipped."""
    for shard, size in sizes.items():
        rows = []
        for number in range(size + 1):
            row: dict[str, Any] = dict.fromkeys(PROMPTS.names)
            row |= {"id": f"{shard}-{number}", "split": shard.partition("-")[0], "language": "en"}
            row |= {"prompt_text": f"say {number}", "units": [number, 1, 2], "cut": 1.0}
            rows.append(row | {"skipped": "too short" if number == size else None})
        put_shard(shard_path(folder, shard), rows, PROMPTS)
    return Prompts.of(folder)


@pytest.fixture
def a_round() -> Callable[..., Round]:
    """Makes a round in a folder; its prompts are written first."""

    def make(run: Path, sizes: dict[str, int] | None = None, **changes: Any) -> Round:
        sizes = sizes or {"train-00000": 3, "train-00001": 2, "dev-00000": 1}
        given: dict[str, Any] = {
            "run": run,
            "name": "round-1",
            "prompts": write_prompts(run / "prompts", sizes),
            "slm": Policy,
            "reference": lambda: "fingerprint",
            "vocoder": Voice,
            "transcriber": Ears,
            "judges": {
                "verdicts": ConfiguredJudge(
                    build=Reader, name="reader", reads=frozenset({"text"}), scale=(1.0, 5.0)
                )
            },
            "samples_per_prompt": 4,
            "sampling": SamplingOptions(),
            "max_new_units": 12,
            "selection": Selection(rejected=2, chosen=3, max_auto_bleu=1.0),
            "seed": 1,
        }
        return Round(**{**given, **changes})

    return make

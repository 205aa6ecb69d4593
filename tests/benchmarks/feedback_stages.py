"""What each stage of feedback costs: seconds of processor and of wall time per continuation.

    orality pairs tiny --out runs/tiny
    python tests/benchmarks/feedback_stages.py runs/tiny --out figures.json

The stages run again, in this process and by the run's own components, over the first `--limit`
continuations of its first round; nothing is written into the run. `--out` keeps the figures and
what the stages gave. `--against figures.json` compares with what another version kept: texts and
scores that differ, and the ratio of costs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import orality
from orality import JudgeRequest, Recipe, SamplingOptions, Units
from orality.audio import read_audio
from orality.feedback.pairs import _AT_A_TIME
from orality.store import read_shard

STAGES = ("sampling", "vocoder", "whisper", "moonshine", "likelihood")
Record = dict[str, Any]


class Run:
    """The first `limit` continuations of a run's round 1 with all that was stored of them."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.recipe = Recipe.load(folder / "recipe.yaml")
        self.prompts = self._by_id(folder / "prompts")
        kept = self._by_id(folder / "round-1/continuations")
        self.continuations = list(kept.values())[:limit]
        self.speech = self._by_id(folder / "round-1/speech")
        self.transcripts = self._by_id(folder / "round-1/transcripts")

    @staticmethod
    def _by_id(stage: Path) -> dict[str, Record]:
        return {
            row["id"]: row for path in sorted(stage.glob("*.parquet")) for row in read_shard(path)
        }


def main() -> None:
    """Measure the stages and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--limit", type=int, default=100, help="continuations")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument("--repeats", type=int, default=2, help="the cheapest counts")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--judge-dtype", default="float32")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--against", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    run = Run(given.run, given.limit)
    found: dict[str, Record] = {}
    for stage in given.stages:
        work = prepare(stage, run, given)
        costs = []
        for _ in range(given.repeats):
            cpu, wall = time.process_time(), time.perf_counter()
            results = work()
            costs.append((time.process_time() - cpu, time.perf_counter() - wall))
        cpu, wall = (min(several) / len(run.continuations) for several in zip(*costs, strict=True))
        found[stage] = {"cpu": cpu, "wall": wall, "results": results}
        say(f"{stage:10}  {cpu:.4f} s of processor, {wall:.4f} s of wall time per continuation")
    said = sum(run.speech[row["id"]]["seconds"] for row in run.continuations)
    count = len(run.continuations)
    say(f"{count} continuations of {said / count:.1f} s on average")
    if given.out:
        given.out.write_text(json.dumps(found, indent=1) + "\n")
    if given.against:
        compare(found, json.loads(given.against.read_text()))


def prepare(stage: str, run: Run, given: argparse.Namespace) -> Callable[[], list[Any]]:
    """What does the work of a stage once; loading is no part of it."""
    if stage == "sampling":
        return _sampling(run)
    if stage == "vocoder":
        vocoder = orality.build("vocoder", "hifigan", **_options(run, "vocoder"))
        items = [Units.of(row["units"]) for row in run.continuations]
        return lambda: [
            # enough to see a difference, without the sound itself
            [len(wave.samples), float(np.square(wave.samples).mean()) if len(wave.samples) else 0.0]
            for wave in _in_batches(vocoder.synthesize, items, _AT_A_TIME)
        ]
    if stage == "likelihood":
        judge = orality.build("judge", "likelihood", dtype=given.judge_dtype)
        requests = [_request(run, row) for row in run.continuations]
        size = run.recipe.shard_size * run.recipe.sampling.samples_per_prompt
        return lambda: [v.score for v in _in_batches(judge.score, requests, size)]
    options = {"threads": given.threads} if stage == "moonshine" else {}
    transcriber = orality.build("transcriber", stage, **options)
    rows = [run.speech[row["id"]] for row in run.continuations]
    waves = [read_audio(run.folder / row["audio"]) for row in rows if row["audio"]]
    return lambda: [
        [heard.text, heard.confidence]
        for heard in _in_batches(transcriber.transcribe, waves, _AT_A_TIME)
    ]


def _sampling(run: Run) -> Callable[[], list[Any]]:
    recipe = run.recipe
    slm = orality.build("slm", "twist", **_options(run, "slm"))
    names = list(dict.fromkeys(row["prompt_id"] for row in run.continuations))
    prompts = [Units.of(run.prompts[name]["units"]) for name in names]
    longest = max(len(row["units"]) for row in run.continuations)
    options = SamplingOptions(temperature=recipe.sampling.temperature, top_p=recipe.sampling.top_p)

    def sample(batch: Sequence[Units]) -> list[Any]:
        drawn = slm.generate(
            batch,
            num_samples=recipe.sampling.samples_per_prompt,
            max_new_units=longest,
            sampling=options,
            seeds=list(range(len(batch))),
        )
        return [[len(one.units.ids) for one in several] for several in drawn]

    return lambda: _in_batches(sample, prompts, 8)


def _options(run: Run, kind: str) -> Record:
    choice = getattr(run.recipe, kind)
    return {k: v for k, v in choice.model_dump().items() if k != "name" and v is not None}


def _request(run: Run, row: Record) -> JudgeRequest:
    return JudgeRequest(
        id=row["id"],
        prompt_text=run.prompts[row["prompt_id"]]["prompt_text"],
        continuation_text=run.transcripts[row["id"]]["text"],
    )


def _in_batches(
    work: Callable[[Sequence[Any]], list[Any]], items: Sequence[Any], size: int
) -> list[Any]:
    return [one for at in range(0, len(items), size) for one in work(items[at : at + size])]


def compare(found: dict[str, Record], other: dict[str, Record]) -> None:
    """How many results differ, by how much, and how the costs compare."""
    for stage in found.keys() & other.keys():
        ours, theirs = found[stage], other[stage]
        pairs = list(zip(ours["results"], theirs["results"], strict=False))
        ratio = theirs["cpu"] / ours["cpu"]
        if stage == "likelihood":
            scored = [(a, b) for a, b in pairs if a is not None and b is not None]
            note = f"scores within {max(abs(a - b) for a, b in scored):.1e}"
        elif stage in ("whisper", "moonshine"):
            note = f"{sum(a[0] != b[0] for a, b in pairs)} of {len(pairs)} texts differ"
        else:
            note = f"{sum(a != b for a, b in pairs)} of {len(pairs)} results differ"
        say(f"{stage:10}  {ratio:.2f} times as cheap; {note}")


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

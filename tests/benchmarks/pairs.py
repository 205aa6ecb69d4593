"""Making pairs with components that cost nothing: memory, prompts a second, selecting anew.

    python tests/benchmarks/pairs.py --prompts 1000 10000 100000 --out pairs-benchmark

A corpus of a few recordings under many ids goes through all stages, five continuations a prompt,
each case in a process of its own. `OUT/pairs-memory.csv` has the memory of that process as the
prompts become pairs, `OUT/pairs-memory.svg` shows it, `OUT/pairs.json` has the rest.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

RECORDINGS = 8
RECIPE: dict[str, Any] = {
    "name": "pairs-benchmark",
    "corpus": {"min_seconds": 0.5, "prompt_seconds": 0.3, "fixed_cut": True},
    **{kind: {"name": "light"} for kind in ("tokenizer", "slm", "vocoder", "transcriber", "judge")},
    "sampling": {"samples_per_prompt": 5, "max_seconds": 0.75},
    "rounds": [{"rejected": 2, "chosen": 4}],
    "training": {"steps": 1},
    "evaluation": {"prompts": 0},
}


def write_corpus(folder: Path, prompts: int) -> None:
    """A manifest that names few recordings many times."""
    import soundfile

    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(RECORDINGS):
        samples = random.normal(0, 0.1, 12_000).astype(np.float32)
        soundfile.write(folder / f"{number}.wav", samples, 8000)
    with (folder / "manifest.jsonl").open("w") as file:
        for number in range(prompts):
            row = {"id": f"utterance-{number:07d}", "audio": f"{number % RECORDINGS}.wav"}
            file.write(json.dumps(row | {"split": "train"}) + "\n")


def register_components(folder: Path) -> None:
    """Let this process find the plugin beside this file, as if it were installed."""
    info = folder / "light_components-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: light-components\nVersion: 0\n")
    (info / "entry_points.txt").write_text("[orality]\nlight = light_components\n")
    sys.path += [str(folder), str(Path(__file__).parent)]


def megabytes(field: str = "VmRSS") -> float:
    """Of this process; VmHWM is the most there was."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


class Watch:
    """Notes the memory of this process about twice a second, and how many pairs stand then."""

    def __init__(self) -> None:
        self.rows: list[tuple[float, str, int, float]] = []
        self.stage, self.done = "corpus", 0
        self._began, self._over = time.monotonic(), threading.Event()

    def progress(self, stage: str, done: int, total: int, note: str = "") -> None:
        self.stage, self.done = stage, done

    def __enter__(self) -> Watch:
        threading.Thread(target=self._look, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _look(self) -> None:
        while not self._over.wait(0.5):
            seconds = time.monotonic() - self._began
            self.rows.append((seconds, self.stage, self.done, megabytes()))


def measure(prompts: int, work: Path) -> dict[str, Any]:
    """One case, in this process."""
    from orality import Recipe
    from orality.run import build_pairs, reselect_pairs
    from orality.store import count_records, stage_costs

    register_components(work / "plugin")
    write_corpus(work / "corpus", prompts)
    data = {**RECIPE, "corpus": {**RECIPE["corpus"], "path": str(work / "corpus")}}
    recipe, run = Recipe.parse(data), work / "run"
    began, used = time.monotonic(), time.process_time()
    with Watch() as watch:
        pairs = build_pairs(recipe, run, progress=watch.progress)
    seconds, cpu = time.monotonic() - began, time.process_time() - used
    peak = megabytes("VmHWM")
    began, used = time.monotonic(), time.process_time()
    again = reselect_pairs(recipe, run, rejected=1.5, chosen=4.5)
    reselected, reselected_cpu = time.monotonic() - began, time.process_time() - used
    began = time.monotonic()
    build_pairs(recipe, run)
    return {
        "prompts": prompts,
        "continuations": count_records(run / "round-1" / "continuations"),
        "pairs": count_records(pairs),
        "peak_mb": round(peak, 1),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "prompts_per_second": round(prompts / seconds, 1),
        "stages": {cost.stage: round(cost.seconds, 1) for cost in stage_costs(run)},
        "reselect_seconds": round(reselected, 1),
        "reselect_cpu_seconds": round(reselected_cpu, 1),
        "reselected_pairs": count_records(again),
        "nothing_to_do_seconds": round(time.monotonic() - began, 1),
        "memory": watch.rows[:: max(1, len(watch.rows) // 200)],
    }


def draw(cases: list[dict[str, Any]], path: Path) -> None:
    """Memory against how much of a case is done."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams |= {"svg.hashsalt": "orality", "font.size": 9}
    figure, axes = plt.subplots(figsize=(6, 3))
    for case in cases:
        share = [row[0] / case["seconds"] * 100 for row in case["memory"]]
        size = [row[3] for row in case["memory"]]
        axes.plot(share, size, linewidth=1, label=f"{case['prompts']:,} prompts")
    axes.set(xlabel="% of the run", ylabel="MB in memory", xlim=(0, 100), ylim=(0, 700))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--prompts", type=int, nargs="+", default=[1000, 10_000, 100_000])
    options.add_argument("--out", type=Path, default=Path("pairs-benchmark"))
    options.add_argument("--case", type=int, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.case is not None:
        print(json.dumps(measure(given.case, given.out)))
        return
    given.out.mkdir(parents=True, exist_ok=True)
    cases = []
    for prompts in given.prompts:
        work = given.out / f"work-{prompts}"
        shutil.rmtree(work, ignore_errors=True)
        done = subprocess.run(
            [sys.executable, __file__, "--case", str(prompts), "--out", str(work)],
            check=True, stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        cases.append(json.loads(done.stdout.splitlines()[-1]))
        print({key: value for key, value in cases[-1].items() if key != "memory"}, flush=True)
        plain = [{key: value for key, value in case.items() if key != "memory"} for case in cases]
        (given.out / "pairs.json").write_text(json.dumps(plain, indent=2) + "\n")
        with (given.out / "pairs-memory.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["prompts", "seconds", "stage", "done", "megabytes"])
            for case in cases:
                for seconds, stage, count, size in case["memory"]:
                    row = [f"{seconds:.1f}", stage, count, f"{size:.1f}"]
                    writer.writerow([case["prompts"], *row])
        draw(cases, given.out / "pairs-memory.svg")
        shutil.rmtree(work)


if __name__ == "__main__":
    main()

"""`orality stories`: spoken story prompts by the number."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from orality.cli.progress import show_progress

console = Console(stderr=True)


def stories(
    out: Annotated[Path, typer.Option("--out", help="The folder that becomes the corpus.")],
    prompts: Annotated[int, typer.Option(min=0, help="Training stories.")] = 1000,
    dev: Annotated[int, typer.Option(min=0, help="Stories of held-out sentences for dev.")] = 60,
    test: Annotated[int, typer.Option(min=0, help="Stories of held-out sentences for test.")] = 200,
    pairs: Annotated[
        int, typer.Option(min=0, help="Benchmark pairs of each kind to speak, up to 600.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Other seeds make other stories.")] = 0,
    format: Annotated[
        Literal["flac", "ogg"],
        typer.Option(help="flac, or ogg: a tenth of the size, and 0.5 s of a core per story."),
    ] = "flac",
    processes: Annotated[int, typer.Option(min=1, help="Processes that speak.")] = 1,
) -> None:
    """Speak a corpus of short stories, as large as wanted, and benchmarks to go with it."""
    from orality.pretraining.stories.prompts import build_prompts

    with show_progress(console) as progress:
        made = build_prompts(
            out, prompts=prompts, dev=dev, test=test, pairs=pairs, seed=seed, format=format,
            processes=processes, progress=progress,
        )  # fmt: skip
    print(f"the corpus is in {made}")
    if pairs:
        console.print(f"benchmarks for evaluation.benchmarks are in {made / 'benchmarks'}")

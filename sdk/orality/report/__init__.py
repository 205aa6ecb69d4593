"""What a run leaves for people: one page with its figures, tables and speech."""

from __future__ import annotations

from pathlib import Path

__all__ = ["describe_rounds", "write_report"]


def describe_rounds(run: Path, *, examples: int = 3) -> str:
    """Markdown on what each round of a run holds so far: scores, repetition, yields, examples.

    Raises StoreError where nothing is judged yet, or the folder holds no run.
    """
    from orality.report.inspection import describe_rounds as describe

    return describe(Path(run), examples=examples)


def write_report(run: Path, *, max_prompts: int = 40) -> Path:
    """Write `run`/report.html, one file that needs nothing else, and return its path.

    `max_prompts` bounds the prompts that can be listened to, of training and of evaluation each.
    A run that has not finished gets a page of what there is. Raises StoreError when the folder
    holds no run or a damaged shard, EvaluationError when `results.json` cannot be read.
    """
    from orality.report.page import write_page

    return write_page(Path(run), max_prompts=max_prompts)

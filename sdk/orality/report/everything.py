"""A run's tables, figures and page, from what it has stored."""

from __future__ import annotations

from pathlib import Path

from orality.evaluation.tables.tables import write_tables
from orality.report.data.run_data import RunData, read_run
from orality.report.page import write_page
from orality.report.paper.write import write_figures
from orality.report.speech_gap.golden_gap import GoldenGap, golden_gap
from orality.report.speech_gap.representations import read_representations


def write_everything(run: Path, *, max_prompts: int, audio_megabytes: float) -> Path:
    """Write `table.md`, `table.csv`, `table.tex`, `figures` and `report.html`; returns the last."""
    data = read_run(run)
    if data.results is not None:
        write_tables(run, data.results)
    gap = compared(data)
    write_figures(data, run / "figures", gap)
    audio_bytes = round(max(0.0, audio_megabytes) * 1e6)
    return write_page(data, gap, max_prompts=max_prompts, audio_bytes=audio_bytes)


def compared(run: RunData) -> GoldenGap | None:
    """Golden and synthetic speech of a run; None where it has not stored both."""
    found = read_representations(run.path)
    return None if found is None else golden_gap(found, order=list(run.spoken))

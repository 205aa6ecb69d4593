"""All figures of a run for print, from what it has stored."""

from __future__ import annotations

from pathlib import Path

from orality.evaluation.tables.tables import columns
from orality.report.data.run_data import RunData
from orality.report.figures.curriculum_tracks import tracks_of
from orality.report.figures.distributions import repetition, round_scores, system_scores
from orality.report.figures.trainings import preference_trainings
from orality.report.paper.clouds import separations_table, write_clouds
from orality.report.paper.curves import write_curriculum, write_training
from orality.report.paper.frontier import write_frontier
from orality.report.paper.histograms import write_histograms
from orality.report.paper.systems import write_systems
from orality.report.paper.table import csv_text
from orality.report.sections.yield_table import yield_table
from orality.report.speech_gap.golden_gap import GoldenGap
from orality.store import atomic_write


def write_figures(run: RunData, folder: Path, gap: GoldenGap | None) -> list[Path]:
    """Write into `folder` every figure that the run has data for, and return the files' paths.

    Each as SVG, PDF, PNG, and its data as CSV; `yields.csv` and `separations.csv` are tables only.
    """
    written: list[Path] = []
    for name, histograms in (
        ("scores", round_scores(run)),
        ("scores-held-out", system_scores(run)),
        ("auto-bleu", repetition(run)),
    ):
        if histograms is not None:
            written += write_histograms(folder, name, histograms)
    tracks = tracks_of(run)
    if tracks:
        written += write_curriculum(folder, "curriculum", tracks)
    if run.results is not None:
        baseline = run.results.settings.get("baseline", "")
        shown = columns(run.results)
        if shown:
            written += write_systems(folder, "systems", run.results, shown, str(baseline))
        if run.results.frontier is not None and run.results.frontier.gains:
            written += write_frontier(folder, "frontier", run.results.frontier)
    trainings = preference_trainings(run)
    if trainings:
        written += write_training(folder, "training", trainings)
    tables = {"yields": yield_table(run)}
    if gap is not None:
        written += write_clouds(folder, "golden-synthetic", gap)
        tables["separations"] = separations_table(gap)
    for name, table in tables.items():
        if table.rows:
            path = folder / f"{name}.csv"
            data = csv_text(table).encode()
            atomic_write(path, lambda file, data=data: file.write(data))  # type: ignore[misc]
            written.append(path)
    return written

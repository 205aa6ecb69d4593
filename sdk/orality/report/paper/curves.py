"""Curves for print: what the curriculum does to each figure, and how each training went."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from orality.report.figures.curriculum_tracks import Track
from orality.report.figures.trainings import QUANTITIES, Training
from orality.report.paper import style
from orality.report.paper.table import Table, Value

_HEIGHT = 1.45  # inches of a panel


def write_curriculum(folder: Path, name: str, tracks: Sequence[Track]) -> list[Path]:
    """A small panel for every figure, with intervals, before and after each round."""
    columns = min(3, len(tracks))
    rows = math.ceil(len(tracks) / columns)
    width = style.PAGE if columns > 1 else style.COLUMN
    with style.canvas(rows, columns, width=width, height=_HEIGHT * rows) as (figure, grid):
        for axes, track in zip(grid, tracks, strict=False):
            _track(axes, track)
        for axes in grid[len(tracks) :]:
            axes.remove()
        return style.save(figure, folder, name, _tracks_table(tracks))


def write_training(folder: Path, name: str, trainings: Sequence[Training]) -> list[Path]:
    """Loss, reward accuracy and reward margin over steps; a column for every training."""
    panels = [panel for panel in QUANTITIES if any(one.has(panel.key) for one in trainings)]
    width = style.COLUMN if len(trainings) == 1 else style.PAGE
    height = 0.3 + _HEIGHT * len(panels)
    with style.canvas(
        len(panels), len(trainings), width=width, height=height, sharex="col", sharey="row"
    ) as (figure, grid):
        for number, panel in enumerate(panels):
            for place, training in enumerate(trainings):
                axes = grid[number * len(trainings) + place]
                _curves(axes, training, panel.key)
                if panel.level is not None:
                    axes.axhline(panel.level, **style.DASHED)
                if panel.limits:
                    axes.set_ylim(panel.limits)
                if place == 0:
                    axes.set_ylabel(panel.title.lower())
                if number == 0:
                    axes.set_title(style.escaped(training.name))
                if number == len(panels) - 1:
                    axes.set_xlabel("optimizer step")
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
        return style.save(figure, folder, name, _training_table(trainings, [p.key for p in panels]))


def _track(axes: Axes, track: Track) -> None:
    places = range(len(track.steps))
    values = [step.value for step in track.steps]
    below = [step.value - (step.value if step.low is None else step.low) for step in track.steps]
    above = [(step.value if step.high is None else step.high) - step.value for step in track.steps]
    axes.errorbar(
        places, values, yerr=[below, above], color="black", marker="o", markersize=3.5,
        linewidth=1.1, elinewidth=0.8, capsize=2.5, capthick=0.8,
    )  # fmt: skip
    axes.set_title(style.escaped(track.title))
    axes.set_xticks(places, [style.escaped(step.name) for step in track.steps])
    axes.set_xlim(-0.4, len(track.steps) - 0.6)
    axes.locator_params(axis="y", nbins=4)


def _curves(axes: Axes, training: Training, key: str) -> None:
    seen = training.points(key)
    held_out = training.points(f"dev_{key}")
    axes.plot(*_columns(seen), color=style.GRAY, linewidth=0.8, label="training batch")
    axes.plot(
        *_columns(held_out), color=style.BLUE, linestyle="-", marker="o", markersize=2.4,
        linewidth=1.2, label="dev pairs",
    )  # fmt: skip


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [step for step, _ in points], [value for _, value in points]


def _tracks_table(tracks: Sequence[Track]) -> Table:
    return Table(
        ["figure", "step", "value", "low", "high"],
        [
            [track.title.rstrip(" ↑↓"), step.name, step.value, step.low, step.high]
            for track in tracks
            for step in track.steps
        ],
    )


def _training_table(trainings: Sequence[Training], keys: Sequence[str]) -> Table:
    rows: list[list[Value]] = []
    for training in trainings:
        for key in (name for base in keys for name in (base, f"dev_{base}")):
            rows += [[training.name, key, step, value] for step, value in training.points(key)]
    return Table(["training", "quantity", "step", "value"], rows)

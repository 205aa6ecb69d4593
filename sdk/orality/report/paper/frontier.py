"""Score against diversity across temperatures for print: the baseline's curve, other systems."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes

from orality.evaluation.frontier.results import Frontier
from orality.evaluation.frontier.tables import column_of
from orality.evaluation.tables.tables import Column
from orality.report.paper import style
from orality.report.paper.table import Table, Value
from orality.report.sections.frontier import drawn_points, place

_HEIGHT = 2.1  # inches of a row of panels


def write_frontier(folder: Path, name: str, frontier: Frontier) -> list[Path]:
    """A row for every score, a panel for every measure of diversity."""
    scores, measures = frontier.scores, frontier.diversities
    height = 0.35 + _HEIGHT * len(scores)
    with style.canvas(
        len(scores), len(measures), width=style.PAGE, height=height, sharey="row"
    ) as (figure, grid):
        for row, score in enumerate(scores):
            for number, measure in enumerate(measures):
                axes = grid[row * len(measures) + number]
                up, across = column_of(frontier, score), column_of(frontier, measure)
                _panel(axes, frontier, up, across)
                unit = " (%)" if across.scale == 100 else ""
                axes.set_xlabel(style.escaped(f"{across.label}{unit}"))
                if number == 0:
                    axes.set_ylabel(style.escaped(up.label))
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
        return style.save(figure, folder, name, _table(frontier))


def _panel(axes: Axes, frontier: Frontier, up: Column, across: Column) -> None:
    points = drawn_points(frontier, up.metric, across.metric)
    for number, system in enumerate(dict.fromkeys(point.system for point in points)):
        mine = [point for point in points if point.system == system]
        look = style.look(number)
        xs, ys = ([place(point, column) for point in mine] for column in (across, up))
        line = look.line if len(mine) > 1 else "none"
        axes.plot(
            xs, ys, color=look.color, linestyle=line, linewidth=1.1,
            marker=look.marker, markersize=4, label=style.escaped(system),
        )  # fmt: skip
        for point, x, y in zip(mine, xs, ys, strict=True):
            ci = point.values[up.metric].ci
            if ci is not None and system != frontier.baseline:
                ends = (ci.low * up.scale, ci.high * up.scale)
                axes.plot((x, x), ends, color=look.color, linewidth=0.8, zorder=1)
            if len(mine) > 1:
                axes.annotate(
                    f"T {point.temperature:g}", (x, y), xytext=(4, -8), textcoords="offset points",
                    fontsize=7, color=look.color,
                )  # fmt: skip
    axes.margins(x=0.1, y=0.12)


def _table(frontier: Frontier) -> Table:
    rows: list[list[Value]] = []
    for point in frontier.points:
        for metric, found in point.values.items():
            low, high = (found.ci.low, found.ci.high) if found.ci else (None, None)
            rows.append([point.system, point.temperature, metric, found.value, low, high, found.n])
    return Table(["system", "temperature", "metric", "value", "low", "high", "n"], rows)

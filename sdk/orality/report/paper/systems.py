"""Systems side by side for print: a point and an interval for each, per metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from orality.evaluation.results import Results
from orality.evaluation.tables.tables import Column
from orality.report.paper import style
from orality.report.paper.table import Table, Value


def write_systems(
    folder: Path, name: str, results: Results, shown: Sequence[Column], baseline: str
) -> list[Path]:
    """A panel for every metric; the dashed line is the baseline's value."""
    columns = min(4, len(shown))
    rows = math.ceil(len(shown) / columns)
    names = [system.name for system in results.systems]
    height = rows * (0.55 + 0.17 * len(names))
    width = style.PAGE if columns > 1 else style.COLUMN
    with style.canvas(rows, columns, width=width, height=height, sharey=True) as (figure, grid):
        for axes, column in zip(grid, shown, strict=False):
            for place, system in enumerate(names):
                found = results.find(system, column.metric, column.group)
                if found is None:
                    continue
                value = found.value * column.scale
                if found.ci is not None:
                    ends = (found.ci.low * column.scale, found.ci.high * column.scale)
                    axes.plot(ends, (place, place), color="black", linewidth=0.9)
                axes.plot(value, place, color="black", marker="o", markersize=3.5)
                if system == baseline:
                    axes.axvline(value, **style.DASHED)
            unit = " (%)" if column.scale == 100 else ""
            axes.set_title(style.escaped(f"{column.label}{unit} {column.arrow}"))
            axes.locator_params(axis="x", nbins=3)
        for axes in grid[len(shown) :]:
            axes.remove()
        grid[0].set_yticks(range(len(names)), [style.escaped(name) for name in names])
        grid[0].set_ylim(len(names) - 0.5, -0.5)
        return style.save(figure, folder, name, _table(results, shown))


def _table(results: Results, shown: Sequence[Column]) -> Table:
    rows: list[list[Value]] = []
    for column in shown:
        for system in results.systems:
            found = results.find(system.name, column.metric, column.group)
            if found is not None:
                low, high = (found.ci.low, found.ci.high) if found.ci else (None, None)
                rows.append([column.metric, system.name, found.value, low, high, found.n])
    return Table(["metric", "system", "value", "low", "high", "n"], rows)

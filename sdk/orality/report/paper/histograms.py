"""Histograms for print: stacked by what thresholds allow, or one outline over the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from orality.report.figures.distributions import SIDES, Histograms, Panel
from orality.report.paper import style
from orality.report.paper.table import Table, Value

_TAIL = 0.02
_SIDES: dict[str, dict[str, Any]] = {
    SIDES["rejected"]: {"facecolor": "white", "edgecolor": style.VERMILION, "hatch": "//////"},
    SIDES["either"]: {"facecolor": style.LIGHT, "edgecolor": style.BLUE, "hatch": "//////"},
    SIDES["neither"]: {"facecolor": style.LIGHT, "edgecolor": style.GRAY},
    SIDES["chosen"]: {"facecolor": style.BLUE, "edgecolor": style.BLUE},
}


def write_histograms(folder: Path, name: str, data: Histograms) -> list[Path]:
    """One panel below the other, in one column."""
    count, most = len(data.panels), max(len(panel.groups) for panel in data.panels)
    below = data.stacked or count == 1  # one legend for the figure, or one inside each panel
    rows = 1 if data.stacked else most
    height = 0.4 + (1.2 if data.stacked else 1.5) * count + (0.14 * rows + 0.1 if below else 0)
    end, beyond = _end(data)
    with style.canvas(count, 1, width=style.COLUMN, height=height, sharex=True) as (figure, grid):
        for axes, panel in zip(grid, data.panels, strict=True):
            (_stack if data.stacked else _overlay)(axes, panel, data.edges)
            axes.set_title(style.escaped(panel.title))
            axes.set_ylabel("share (%)")
            axes.set_xlim(data.edges[0], end)
        top = max(axes.get_ylim()[1] for axes in grid)
        for axes, panel in zip(grid, data.panels, strict=True):
            axes.set_ylim(0, top * (1.14 if panel.lines else 1))
            _lines(axes, panel)
        cut = f" (above {end:g}, not shown: at most {beyond:.1%})".replace("%", " %")
        grid[-1].set_xlabel(data.label + (cut if beyond else ""))
        handles, labels = grid[0].get_legend_handles_labels()
        if below:
            columns = 3 if data.stacked else 1
            figure.legend(handles, labels, loc="outside lower center", ncols=columns)
        else:
            for axes in grid:
                axes.legend(loc="upper right")
        return style.save(figure, folder, name, _table(data))


def _stack(axes: Axes, panel: Panel, edges: Sequence[float]) -> None:
    total = sum(sum(counts) for counts in panel.groups.values()) or 1
    width = edges[1] - edges[0]
    base = [0.0] * (len(edges) - 1)
    for name, counts in panel.groups.items():
        paint = _SIDES[name]
        shares = [100 * count / total for count in counts]
        filled = [index for index, share in enumerate(shares) if share]
        axes.bar(
            [edges[index] for index in filled], [shares[index] for index in filled],
            bottom=[base[index] for index in filled], width=0.94 * width, align="edge",
            label=name, linewidth=0.5, **paint,
        )  # fmt: skip
        base = [low + share for low, share in zip(base, shares, strict=True)]


def _overlay(axes: Axes, panel: Panel, edges: Sequence[float]) -> None:
    """The first group is filled, the others are outlines over it."""
    for number, (name, counts) in enumerate(panel.groups.items()):
        total = sum(counts) or 1
        looks = style.look(number)
        filled = number == 0
        axes.stairs(
            [100 * count / total for count in counts], edges, fill=filled,
            label=style.escaped(f"{name} (n = {total:,})"),
            color=style.LIGHT if filled else looks.color, linestyle=looks.line, linewidth=1.3,
        )  # fmt: skip


def _lines(axes: Axes, panel: Panel) -> None:
    for line in panel.lines:
        axes.axvline(line.at, color="black", linewidth=0.8, linestyle=(0, (3, 2)))
        low, high = axes.get_xlim()
        place = (line.at - low) / (high - low)
        anchor = "left" if place < 0.15 or (line.anchor == "start" and place < 0.85) else "right"
        axes.annotate(
            style.subscripted(line.label), (line.at, 1), (3 if anchor == "left" else -3, -2),
            xycoords=("data", "axes fraction"), textcoords="offset points", ha=anchor, va="top",
            fontsize=7,
        )  # fmt: skip


def _end(data: Histograms) -> tuple[float, float]:
    """Where the axis ends, and the largest share of a group beyond; a long thin tail is cut.

    At least half of the axis stays, which leaves room for the legend.
    """
    if not data.trim:
        return data.edges[-1], 0.0
    groups = [counts for panel in data.panels for counts in panel.groups.values() if sum(counts)]
    for index in range(len(data.edges) // 2, len(data.edges) - 1):
        beyond = max(sum(counts[index:]) / sum(counts) for counts in groups)
        if beyond < _TAIL:
            return data.edges[index], beyond
    return data.edges[-1], 0.0


def _table(data: Histograms) -> Table:
    rows: list[list[Value]] = []
    for panel in data.panels:
        whole = sum(sum(counts) for counts in panel.groups.values())
        for name, counts in panel.groups.items():
            total = whole if data.stacked else sum(counts)
            for index, count in enumerate(counts):
                ends = (data.edges[index], data.edges[index + 1])
                rows.append([panel.title, name, *ends, count, count / total if total else 0.0])
    return Table(["panel", "group", "from", "to", "count", "share"], rows)

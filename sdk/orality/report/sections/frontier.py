"""Score against diversity across temperatures: figures of the page, and its tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from orality.evaluation.frontier.results import Frontier, FrontierPoint
from orality.evaluation.frontier.tables import (
    column_of,
    frontier_gains,
    frontier_points,
    gain_findings,
)
from orality.evaluation.tables.grid import Grid
from orality.evaluation.tables.tables import Column
from orality.report.figures import axes
from orality.report.figures.axes import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axis
from orality.report.figures.draw import Figure
from orality.report.figures.labels import Box, along, placed


@dataclass(frozen=True, slots=True)
class PlainTable:
    """A table of texts: rows under headings."""

    head: Sequence[str]
    blocks: Sequence[tuple[str, Sequence[Sequence[str]]]]
    caption: str


@dataclass(frozen=True, slots=True)
class FrontierView:
    """What the page shows of systems across temperatures."""

    baseline: str
    figures: Sequence[Figure]
    findings: Sequence[str]
    points: PlainTable
    gains: PlainTable


def frontier_view(frontier: Frontier) -> FrontierView:
    """A figure for every score and diversity, and both tables."""
    return FrontierView(
        frontier.baseline,
        [
            frontier_figure(frontier, score, diversity)
            for score in frontier.scores
            for diversity in frontier.diversities
        ],
        gain_findings(frontier),
        _plain(frontier_points(frontier)),
        _plain(frontier_gains(frontier)),
    )


def frontier_figure(frontier: Frontier, score: str, diversity: str) -> Figure:
    """The baseline's curve with its temperatures; numbered points are the other systems."""
    up, across = column_of(frontier, score), column_of(frontier, diversity)
    points = drawn_points(frontier, score, diversity)
    marks: list[float] = [place(point, across) for point in points]
    heights = [end for point in points for end in _ends(point, up)]
    low, high = axes.span(marks, pad=0.1)
    low = max(low, 0.0) if min(marks) > 0 else low
    x = Axis(low, high, LEFT, WIDTH - RIGHT)
    bottom, top = axes.span(heights)
    y = Axis(bottom, top, HEIGHT - BOTTOM, TOP)
    unit = ", %" if across.scale == 100 else ""
    parts = [axes.vertical(y, axes.ticks(bottom, top, 5))]
    parts.append(axes.horizontal(x, axes.ticks(low, high, 5), f"{across.label}{unit}"))
    systems = list(dict.fromkeys(point.system for point in points))
    obstacles: list[Box] = []
    for system in systems:
        mine = [point for point in points if point.system == system]
        kind = "plain" if system == frontier.baseline else "train"
        line = [(x(place(p, across)), y(place(p, up))) for p in mine]
        if len(mine) > 1:
            obstacles += along(line)
            path = "L".join(f"{at} {height}" for at, height in line)
            parts.append(Markup('<path class="curve {}" d="M{}"/>').format(kind, path))
    for point in points:
        if point.system != frontier.baseline:
            _, first, last = _ends(point, up)
            at = x(place(point, across))
            parts.append(
                Markup('<path class="whisker chosen" d="M{} {}V{}"/>').format(at, y(first), y(last))
            )
            obstacles.append((at - 1.5, y(last), at + 1.5, y(first)))
    for point in points:
        kind = "plain" if point.system == frontier.baseline else "chosen"
        parts.append(
            Markup('<circle class="dot {}" cx="{}" cy="{}" r="4"/>').format(
                kind, x(place(point, across)), y(place(point, up))
            )
        )
    others = [system for system in systems if system != frontier.baseline]
    labels = placed(
        [(x(place(p, across)), y(place(p, up)), _label(p, frontier, others)) for p in points],
        (LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM),
        obstacles,
    )
    parts += [axes.text(item.x, item.y, item.text, "mark", item.anchor) for item in labels]
    title = f"{up.label} {up.arrow} against {across.label} {across.arrow}"
    numbered = [f"{number}: {name}" for number, name in enumerate(others, start=1)]
    note = "; ".join([f"Line: {frontier.baseline} at each temperature (T)", *numbered]) + "."
    return Figure(
        title=title,
        drawing=axes.box(title, parts),
        head=["system", "T", f"{across.label}{unit}", up.label, "low", "high"],
        rows=[_row(point, up, across) for point in points],
        note=note,
    )


def drawn_points(frontier: Frontier, score: str, diversity: str) -> list[FrontierPoint]:
    """Points that have both figures: the baseline's first, then system by system, coldest first."""
    order = list(dict.fromkeys(point.system for point in frontier.points))
    order.sort(key=lambda system: system != frontier.baseline)
    known = [p for p in frontier.points if score in p.values and diversity in p.values]
    return sorted(known, key=lambda point: (order.index(point.system), point.temperature))


def place(point: FrontierPoint, column: Column) -> float:
    """A point's figure on a column's scale."""
    return point.values[column.metric].value * column.scale


def _ends(point: FrontierPoint, column: Column) -> tuple[float, float, float]:
    """A figure and the ends of its interval, itself where there is none."""
    value, ci = place(point, column), point.values[column.metric].ci
    low, high = (value, value) if ci is None else (ci.low * column.scale, ci.high * column.scale)
    return value, low, high


def _label(point: FrontierPoint, frontier: Frontier, others: Sequence[str]) -> str:
    if point.system == frontier.baseline:
        return f"T {point.temperature:g}"
    number = str(others.index(point.system) + 1)
    swept = sum(p.system == point.system for p in frontier.points) > 1
    return f"{number}, T {point.temperature:g}" if swept else number


def _row(point: FrontierPoint, up: Column, across: Column) -> list[str]:
    value, low, high = _ends(point, up)
    return [
        point.system,
        f"{point.temperature:g}",
        f"{place(point, across):.{across.digits}f}",
        *(f"{end:.{up.digits}f}" for end in (value, low, high)),
    ]


def _plain(grid: Grid) -> PlainTable:
    return PlainTable(
        [grid.corner, *(head.text for head in grid.heads)],
        [
            (
                block.heading,
                [
                    [
                        row.label,
                        *(
                            cell.text
                            + ("*" if cell.star else "")
                            + (f" ±{cell.spread}" if cell.spread else "")
                            for cell in row.cells
                        ),
                    ]
                    for row in block.rows
                ],
            )
            for block in grid.blocks
        ],
        grid.caption,
    )

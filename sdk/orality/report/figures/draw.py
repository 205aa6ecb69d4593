"""Figures drawn from data as inline SVG, each with the numbers it shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from orality.report.figures import axes
from orality.report.figures.axes import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axis


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing and its data. `legend`: (class, text) of every kind of mark in it."""

    title: str
    drawing: Markup
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    legend: Sequence[tuple[str, str]] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A threshold: where it stands and what it is called."""

    at: float
    label: str
    anchor: str = "start"


@dataclass(frozen=True, slots=True)
class Curve:
    """Points (step, value) of one name; `kind` is its class in the style sheet."""

    name: str
    kind: str
    points: Sequence[tuple[float, float]]


def bins(low: float, high: float, width: float) -> list[float]:
    """Edges from `low` to at least `high`, `width` apart."""
    count = max(1, math.ceil((high - low) / width - 1e-9))
    return [round(low + index * width, 9) for index in range(count + 1)]


def histogram(
    title: str,
    groups: Mapping[str, Sequence[float]],
    edges: Sequence[float],
    *,
    label: str,
    names: Mapping[str, str],
    lines: Sequence[Line] = (),
    tallest: int = 0,
    note: str = "",
    outline: tuple[str, Sequence[float]] | None = None,
) -> Figure:
    """Stacked counts of each group per bin; the last bin holds its upper edge too.

    `names`: class of a group to its words, in the order of stacking. `tallest`: the count that
    the vertical axis reaches at least, so that figures side by side share it. `outline`: name and
    values of another sample, drawn as a line over the bars and scaled to their sum.
    """
    counts = {kind: counted(groups.get(kind, ()), edges) for kind in names}
    totals = [sum(column) for column in zip(*counts.values(), strict=True)]
    other = counted(outline[1], edges) if outline else []
    scaled = [count * sum(totals) / max(1, sum(other)) for count in other]
    top = max([*totals, *scaled, tallest, 1])
    x = Axis(edges[0], edges[-1], LEFT, WIDTH - RIGHT)
    y = Axis(0, top * 1.12, HEIGHT - BOTTOM, TOP)
    marks = axes.ticks(0, top * 1.05, 4, whole=True)
    parts = [axes.vertical(y, marks)]
    for index in range(len(edges) - 1):
        base = 0
        left, right = x(edges[index]), x(edges[index + 1])
        for kind, column in counts.items():
            if column[index]:
                upper = y(base + column[index])
                place = (left + 0.75, upper, right - left - 1.5, y(base) - upper)
                parts.append(axes.bar(kind, *place))
                base += column[index]
    if scaled:
        parts.append(steps([x(edge) for edge in edges], [y(value) for value in scaled], "truth"))
    parts.append(axes.horizontal(x, axes.ticks(edges[0], edges[-1], 5), label))
    for line in lines:
        if edges[0] <= line.at <= edges[-1]:
            parts.append(
                Markup('<path class="threshold" d="M{} {}V{}"/>').format(
                    x(line.at), TOP - 2, HEIGHT - BOTTOM
                )
            )
            # a label that would leave the box on its side goes to the other
            share = (line.at - edges[0]) / (edges[-1] - edges[0])
            right = share < 0.15 or (line.anchor == "start" and share < 0.85)
            shift, anchor = (4, "start") if right else (-4, "end")
            parts.append(axes.text(x(line.at) + shift, TOP + 7, line.label, "mark", anchor))
    columns = [*counts.values(), *([other] if outline else [])]
    rows = [
        [f"{edges[i]:g} to {edges[i + 1]:g}", *(str(column[i]) for column in columns)]
        for i in range(len(edges) - 1)
        if any(column[i] for column in columns)
    ]
    legend = [(kind, name) for kind, name in names.items() if sum(counts[kind])]
    return Figure(
        title=title,
        drawing=axes.box(title, parts),
        head=[label, *names.values(), *([outline[0]] if outline else [])],
        rows=rows,
        legend=[*legend, *([("truth", outline[0])] if outline else [])],
        note=note,
    )


def steps(
    edges: Sequence[float], heights: Sequence[float], kind: str, *, base: float | None = None
) -> Markup:
    """An outline over bins, at their heights; with `base` it begins and ends there."""
    path = f"M{edges[0]} {heights[0] if base is None else base}"
    for edge, height in zip(edges[1:], heights, strict=True):
        path += f"V{height}H{edge}"
    path += "" if base is None else f"V{base}"
    return Markup('<path class="curve {}" d="{}"/>').format(kind, path)


def counted(values: Sequence[float], edges: Sequence[float]) -> list[int]:
    """How many values lie in each half-open bin; values beyond the edges go to the outer bins."""
    counts = [0] * (len(edges) - 1)
    width = (edges[-1] - edges[0]) / len(counts)
    for value in values:
        index = math.floor((value - edges[0]) / width + 1e-9)
        counts[min(max(index, 0), len(counts) - 1)] += 1
    return counts


def curves(
    title: str,
    lines: Sequence[Curve],
    *,
    limits: tuple[float, float] | None = None,
    level: float | None = None,
    note: str = "",
) -> Figure:
    """Values over optimizer steps. `level`: a value worth a line of its own, such as chance."""
    drawn = [curve for curve in lines if curve.points]
    values = [value for curve in drawn for _, value in curve.points]
    steps = [step for curve in drawn for step, _ in curve.points]
    low, high = limits or axes.span([*values, *([] if level is None else [level])])
    first, last = min(steps), max(steps)
    x = Axis(first, last if last > first else first + 1, LEFT + 4, WIDTH - RIGHT - 6)
    y = Axis(low, high, HEIGHT - BOTTOM, TOP)
    parts = [axes.vertical(y, axes.ticks(low, high, 4))]
    parts.append(axes.horizontal(x, axes.ticks(first, last, 5, whole=True), "step"))
    if level is not None:
        parts.append(
            Markup('<path class="threshold" d="M{} {}H{}"/>').format(LEFT, y(level), WIDTH - RIGHT)
        )
    for curve in drawn:
        path = "L".join(f"{x(step)} {y(value)}" for step, value in curve.points)
        parts.append(Markup('<path class="curve {}" d="M{}"/>').format(curve.kind, path))
        if curve.kind == "dev" or len(curve.points) == 1:
            parts += [
                Markup('<circle class="dot {}" cx="{}" cy="{}" r="3"/>').format(
                    curve.kind, x(step), y(value)
                )
                for step, value in curve.points
            ]
    lookup = [dict(curve.points) for curve in drawn]
    rows = [
        [f"{step:g}", *("" if step not in found else f"{found[step]:.4f}" for found in lookup)]
        for step in sorted(set(steps))
    ]
    return Figure(
        title=title,
        drawing=axes.box(title, parts),
        head=["step", *(curve.name for curve in drawn)],
        rows=rows,
        legend=[(curve.kind, curve.name) for curve in drawn],
        note=note,
    )

"""Systems side by side: a point and an interval for each, per metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from orality.report.figures import axes
from orality.report.figures.axes import WIDTH, Axis
from orality.report.figures.draw import Figure

_LEFT, _ROW, _TOP, _BOTTOM = 122, 22, 8, 24


@dataclass(frozen=True, slots=True)
class Estimate:
    """A system's value with its interval, if it has one; `kind`: class in the style sheet."""

    name: str
    value: float
    low: float | None
    high: float | None
    kind: str = "plain"


def interval_figure(
    title: str, estimates: Sequence[Estimate], *, level: float | None, digits: int
) -> Figure:
    """One row per system; a line goes down at `level`, the baseline's value."""
    ends = [e.value for e in estimates]
    ends += [end for e in estimates for end in (e.low, e.high) if end is not None]
    low, high = axes.span(ends)
    low = max(low, 0.0) if min(ends) >= 0 else low
    height = _TOP + _ROW * len(estimates) + _BOTTOM
    x = Axis(low, high, _LEFT, WIDTH - 12)
    bottom = height - _BOTTOM
    parts = []
    for mark in axes.ticks(low, high, 4):
        parts.append(Markup('<path class="grid" d="M{} {}V{}"/>').format(x(mark), _TOP, bottom))
        parts.append(axes.text(x(mark), bottom + 15, axes.number(mark), "tick"))
    if level is not None:
        parts.append(
            Markup('<path class="threshold" d="M{} {}V{}"/>').format(x(level), _TOP, bottom)
        )
    for index, item in enumerate(estimates):
        y = _TOP + _ROW * index + _ROW / 2
        name = item.name if len(item.name) <= 21 else item.name[:20] + "…"
        parts.append(axes.text(_LEFT - 10, y + 4, name, "row", "end"))
        if item.low is not None and item.high is not None:
            parts.append(
                Markup('<path class="whisker {}" d="M{} {}H{}"/>').format(
                    item.kind, x(item.low), y, x(item.high)
                )
            )
        parts.append(
            Markup('<circle class="dot {}" cx="{}" cy="{}" r="4"/>').format(
                item.kind, x(item.value), y
            )
        )
    rows = [
        [
            item.name,
            f"{item.value:.{digits}f}",
            *("" if end is None else f"{end:.{digits}f}" for end in (item.low, item.high)),
        ]
        for item in estimates
    ]
    return Figure(
        title=title,
        drawing=axes.box(title, parts, height=height),
        head=["system", "value", "low", "high"],
        rows=rows,
    )

"""Lines of the page's figures: outlines of distributions, and figures over the curriculum."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from orality.report.figures import axes
from orality.report.figures.axes import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axis
from orality.report.figures.curriculum_tracks import Track
from orality.report.figures.distributions import Histograms, Panel
from orality.report.figures.draw import Figure, steps

KINDS = ("truth-area", "s1", "s2", "s3")  # classes in the style sheet, in the order of the groups


def outlines(title: str, data: Histograms, panel: Panel) -> Figure:
    """Shares of each group per bin: the first filled, the others outlined."""
    shares = {
        name: [100 * count / (sum(counts) or 1) for count in counts]
        for name, counts in panel.groups.items()
    }
    top = max(max(column) for column in shares.values())
    x = Axis(data.edges[0], data.edges[-1], LEFT, WIDTH - RIGHT)
    y = Axis(0, top * 1.12 or 1, HEIGHT - BOTTOM, TOP)
    parts = [axes.vertical(y, axes.ticks(0, top * 1.05, 4))]
    kinds = dict(zip(shares, KINDS, strict=False))
    for name, kind in kinds.items():
        heights = [y(share) for share in shares[name]]
        parts.append(steps([x(edge) for edge in data.edges], heights, kind, base=y(0)))
    parts.append(axes.horizontal(x, axes.ticks(data.edges[0], data.edges[-1], 5), data.label))
    rows = [
        [f"{data.edges[i]:g} to {data.edges[i + 1]:g}",
         *(f"{column[i]:.1f} %" for column in shares.values())]
        for i in range(len(data.edges) - 1)
        if any(column[i] for column in shares.values())
    ]  # fmt: skip
    return Figure(
        title=title,
        drawing=axes.box(title, parts),
        head=[data.label, *shares],
        rows=rows,
        legend=[(kind, name) for name, kind in kinds.items()],
    )


def track_figure(track: Track) -> Figure:
    """Points with intervals, in the order of the curriculum."""
    ends = [end for step in track.steps for end in (step.value, step.low, step.high)]
    low, high = axes.span([end for end in ends if end is not None])
    y = Axis(low, high, HEIGHT - BOTTOM, TOP)
    places = _places(len(track.steps))
    parts = [axes.vertical(y, axes.ticks(low, high, 4))]
    base = HEIGHT - BOTTOM
    parts.append(Markup('<path class="axis" d="M{} {}H{}"/>').format(LEFT, base, WIDTH - RIGHT))
    path = "L".join(f"{x} {y(step.value)}" for x, step in zip(places, track.steps, strict=True))
    parts.append(Markup('<path class="curve plain" d="M{}"/>').format(path))
    for x, step in zip(places, track.steps, strict=True):
        parts.append(axes.text(x, base + 15, step.name, "tick"))
        if step.low is not None and step.high is not None:
            parts.append(
                Markup('<path class="whisker" d="M{} {}V{}"/>').format(x, y(step.low), y(step.high))
            )
        parts.append(
            Markup('<circle class="dot plain" cx="{}" cy="{}" r="4"/>').format(x, y(step.value))
        )
    rows = [
        [step.name,
         *("" if v is None else f"{v:.{track.digits}f}" for v in (step.value, step.low, step.high))]
        for step in track.steps
    ]  # fmt: skip
    return Figure(
        title=track.title,
        drawing=axes.box(track.title, parts),
        head=["", "value", "low", "high"],
        rows=rows,
    )


def _places(count: int) -> Sequence[float]:
    """Evenly spaced, half a step from either end."""
    width = (WIDTH - RIGHT - LEFT) / count
    return [round(LEFT + width * (index + 0.5), 1) for index in range(count)]

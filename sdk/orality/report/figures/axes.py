"""Axes of a figure: round ticks, and positions in a box of the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 320, 190
LEFT, RIGHT, TOP, BOTTOM = 42, 8, 12, 36


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear scale from `low` to `high` onto `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


def ticks(low: float, high: float, count: int = 5, *, whole: bool = False) -> list[float]:
    """About `count` round numbers from `low` to `high` (1, 2 or 5 times a power of ten apart)."""
    rough = max(high - low, 1e-12) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    if whole:
        step = max(1.0, math.ceil(step))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def span(values: Sequence[float], *, pad: float = 0.06) -> tuple[float, float]:
    """Limits that hold all values with some air; never empty."""
    low, high = min(values), max(values)
    air = (high - low) * pad or max(abs(high) * 0.1, 0.5)
    return low - air, high + air


def number(value: float) -> str:
    """A tick's label: no needless digits, a true minus sign."""
    return f"{value:,.6g}".replace("-", "−")


def text(x: float, y: float, content: str, kind: str, anchor: str = "middle") -> Markup:
    """A label; whatever it says stays text. `s_r = 2` has its r as a subscript."""
    head, _, tail = content.partition("_")
    if tail:
        below = Markup('<tspan class="sub" dy="3">{}</tspan><tspan dy="-3">{}</tspan>')
        content = escape(head) + below.format(tail[:1], tail[1:])
    return Markup('<text x="{}" y="{}" class="{}" text-anchor="{}">{}</text>').format(
        x, y, kind, anchor, content
    )


def bar(kind: str, x: float, y: float, width: float, height: float) -> Markup:
    """A bar; hatching lies over a rejected one, so that it is told apart without its color."""
    place = Markup('x="{:.1f}" y="{}" width="{:.1f}" height="{:.1f}"').format(x, y, width, height)
    found = Markup('<rect class="{}" {}/>').format(kind, place)
    if kind == "rejected":
        found += Markup('<rect class="hatched" fill="url(#hatch)" {}/>').format(place)
    return found


def horizontal(axis: Axis, marks: Sequence[float], label: str) -> Markup:
    """Ticks and title below the box."""
    base = HEIGHT - BOTTOM
    parts = [Markup('<path class="axis" d="M{} {}H{}"/>').format(LEFT, base, WIDTH - RIGHT)]
    parts += [text(axis(mark), base + 15, number(mark), "tick") for mark in marks]
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4, label, "label"))
    return Markup("").join(parts)


def vertical(axis: Axis, marks: Sequence[float]) -> Markup:
    """Ticks left of the box, with faint lines across it."""
    parts = []
    for mark in marks:
        y = axis(mark)
        parts.append(Markup('<path class="grid" d="M{} {}H{}"/>').format(LEFT, y, WIDTH - RIGHT))
        parts.append(text(LEFT - 6, y + 4, number(mark), "tick", "end"))
    return Markup("").join(parts)


def box(title: str, content: Sequence[Markup], *, height: int = HEIGHT) -> Markup:
    """The drawing; `title` is what a screen reader says."""
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, height, title, Markup("").join(escape(part) for part in content)
    )

"""Where labels of points go so that they hide neither points nor each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_CHARACTER, _LINE = 6.0, 11.0  # of the style sheet's 11px type
_DOT, _STEP = 4.0, 3.0
# by how much a label is moved from its point, and which of its ends lies there
_PLACES = (
    (7, 4, "start"), (-7, 4, "end"), (0, -8, "middle"), (0, 16, "middle"),
    (6, -6, "start"), (6, 14, "start"), (-6, -6, "end"), (-6, 14, "end"),
)  # fmt: skip
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Label:
    """A text at a place, with its `text-anchor`."""

    x: float
    y: float
    text: str
    anchor: str


def placed(
    points: Sequence[tuple[float, float, str]],
    frame: Box,
    obstacles: Sequence[Box] = (),
) -> list[Label]:
    """A label for every point (x, y, text), in order; the first wins where two want one place.

    `frame` (left, top, right, bottom) is better not left; `obstacles` are better not covered.
    """
    dots = [(x - _DOT, y - _DOT, x + _DOT, y + _DOT) for x, y, _ in points]
    taken: list[Box] = [*dots, *obstacles]
    found = []
    for x, y, text in points:
        options = [Label(x + dx, y + dy, text, anchor) for dx, dy, anchor in _PLACES]
        best = min(options, key=lambda label: _cost(_box(label), frame, taken))
        taken.append(_box(best))
        found.append(best)
    return found


def along(line: Sequence[tuple[float, float]]) -> list[Box]:
    """Obstacles along straight lines through points."""
    boxes = []
    for (x, y), (to_x, to_y) in pairwise(line):
        steps = max(1, round(max(abs(to_x - x), abs(to_y - y)) / _STEP))
        for step in range(steps + 1):
            at = x + (to_x - x) * step / steps, y + (to_y - y) * step / steps
            boxes.append((at[0] - _STEP / 2, at[1] - 1, at[0] + _STEP / 2, at[1] + 1))
    return boxes


def _box(label: Label) -> Box:
    width = _CHARACTER * len(label.text)
    left = label.x - {"start": 0.0, "middle": width / 2, "end": width}[label.anchor]
    return left, label.y - _LINE + 2, left + width, label.y + 2


def _cost(box: Box, frame: Box, taken: Sequence[Box]) -> float:
    whole = (box[2] - box[0]) * (box[3] - box[1])
    return 4 * (whole - _overlap(box, frame)) + sum(_overlap(box, other) for other in taken)


def _overlap(a: Box, b: Box) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, width) * max(0.0, height)

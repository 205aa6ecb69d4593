"""A table before it is written: heads, groups of rows, cells with their marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

Mark = Literal["", "best", "second"]


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure as printed: `spread` is half of its interval, `sd` that of seeds.

    `star`: a difference that the test calls significant.
    """

    text: str = "–"
    spread: str = ""
    sd: str = ""
    mark: Mark = ""
    star: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """A column's head; columns of one family stand together."""

    label: str
    arrow: str = ""
    family: str = ""

    @property
    def text(self) -> str:
        """Label and direction."""
        return f"{self.label} {self.arrow}".rstrip()


@dataclass(frozen=True, slots=True)
class Row:
    """A line; `note` is the sign after its label (a dagger: not measured here)."""

    label: str
    cells: Sequence[Cell]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """Rows under one heading; an empty one is not printed."""

    heading: str
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table. `corner` heads the labels; `notes` explain signs, `legend` says what columns are."""

    corner: str
    heads: Sequence[Head]
    blocks: Sequence[Block]
    caption: str = ""
    notes: Sequence[str] = ()
    legend: Sequence[str] = ()

    @property
    def families(self) -> list[tuple[str, int]]:
        """Families with the number of columns each spans, in order."""
        return [(name, len(list(part))) for name, part in groupby(h.family for h in self.heads)]

"""How figures for print look: column widths, sizes of type, colors that survive any eye and gray.

Colors are Okabe and Ito's. None stands alone: lines differ in dashes and markers, areas in
hatching, so that a figure reads the same in grayscale.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from orality.report.paper.table import Table, csv_text
from orality.store import atomic_write

COLUMN, PAGE = 3.3, 6.9  # inches: one column of a two-column paper, and both
FORMATS = ("svg", "pdf", "png")
BLACK, BLUE, VERMILION, GREEN, ORANGE, SKY, PURPLE = (
    "#000000", "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7",
)  # fmt: skip
GRAY, LIGHT = "#8a8a8a", "#d4d4d4"
DASHED: dict[str, Any] = {"color": GRAY, "linewidth": 0.7, "linestyle": (0, (3, 2)), "zorder": 1}
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that a figure is the same anywhere
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "mathtext.fontset": "dejavusans",
    "axes.titlelocation": "left",
    "axes.titlepad": 4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.3,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "legend.borderaxespad": 0,
    "legend.labelspacing": 0.3,
    "pdf.fonttype": 42,  # type 3 fonts are refused by most conferences
    "svg.fonttype": "path",
    "svg.hashsalt": "orality",  # the same figure has the same bytes
    "savefig.dpi": 300,
}


@dataclass(frozen=True, slots=True)
class Look:
    """How one of several series is drawn."""

    color: str
    line: Any
    marker: str


LOOKS = (
    Look(BLACK, "-", "o"),
    Look(BLUE, (0, (5, 1.5)), "s"),
    Look(VERMILION, (0, (1.2, 1.2)), "^"),
    Look(GREEN, (0, (5, 1.5, 1.2, 1.5)), "D"),
    Look(PURPLE, (0, (8, 1.5)), "v"),
    Look(ORANGE, (0, (2.5, 1)), "P"),
    Look(SKY, (0, (5, 1, 1, 1, 1, 1)), "X"),
)


def look(number: int) -> Look:
    """The look of the series with this number; they repeat after seven."""
    return LOOKS[number % len(LOOKS)]


@contextmanager
def canvas(
    rows: int, columns: int, *, width: float, height: float, **options: Any
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure of `width` by `height` inches and its axes, row by row.

    The user's own matplotlib settings neither change it nor are changed.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        air = ConstrainedLayoutEngine(h_pad=0.05, w_pad=0.04, hspace=0.06)
        figure = Figure(figsize=(width, height), layout=air)
        grid = figure.subplots(rows, columns, squeeze=False, **options)
        yield figure, [axes for row in grid for axes in row]


def save(figure: Figure, folder: Path, name: str, table: Table) -> list[Path]:
    """Write a figure in all `FORMATS` and its data as CSV beside it; inside `canvas` only."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # it is laid out now; once for all formats
    paths = []
    for kind in FORMATS:
        buffer = io.BytesIO()
        undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}[kind]
        figure.savefig(buffer, format=kind, metadata=undated)
        path = folder / f"{name}.{kind}"
        data = buffer.getvalue()
        atomic_write(path, lambda file, data=data: file.write(data))  # type: ignore[misc]
        paths.append(path)
    path = folder / f"{name}.csv"
    atomic_write(path, lambda file: file.write(csv_text(table).encode()))
    return [*paths, path]


def subscripted(label: str) -> str:
    """`s_r = 1` with its r set below the line."""
    head, _, tail = label.partition("_")
    return f"${head}_{tail[0]}${tail[1:]}" if tail and head.isalpha() else escaped(label)


def escaped(text: str) -> str:
    """A name as it is: no dollar sign in it starts a formula."""
    return text.replace("$", r"\$")

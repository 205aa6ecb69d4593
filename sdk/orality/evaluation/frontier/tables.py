"""Systems across temperatures as tables: every point's figures, and the gains over the baseline."""

from __future__ import annotations

from orality.evaluation.aggregate import GENERATION
from orality.evaluation.frontier.curve import Outside
from orality.evaluation.frontier.results import Frontier, FrontierGain, TemperatureComparison
from orality.evaluation.results import Metric, Results
from orality.evaluation.statistics.intervals import Interval
from orality.evaluation.tables.columns import SIGNIFICANT, Column, columns
from orality.evaluation.tables.grid import Block, Cell, Grid, Head, Row

_MARKS: dict[Outside, str] = {"": "", "below": " <", "above": " >"}
_BEYOND: dict[Outside, str] = {
    "": "",
    "below": "; less than at any of its temperatures, compared with its nearest end",
    "above": "; more than at any of its temperatures, compared with its nearest end",
}


def point_name(system: str, temperature: float) -> str:
    """How a point is called in tables and figures."""
    return f"{system}, T {temperature:g}"


def frontier_columns(frontier: Frontier) -> list[Column]:
    """One column per metric of the points, labeled as in the main table."""
    figures = [
        Metric(point.system, name, GENERATION, None, v.value, v.n, v.n_failed, 0, v.ci)
        for point in frontier.points
        for name, v in point.values.items()
    ]
    return columns(Results(systems=[], results=figures))


def column_of(frontier: Frontier, metric: str) -> Column:
    """The column of one metric of the points."""
    return next(column for column in frontier_columns(frontier) if column.metric == metric)


def frontier_points(frontier: Frontier) -> Grid:
    """A row per system and temperature, a column per metric."""
    shown = frontier_columns(frontier)
    rows = []
    for point in frontier.points:
        cells = []
        for column in shown:
            found = point.values.get(column.metric)
            half = None if found is None or found.ci is None else (found.ci.high - found.ci.low) / 2
            cells.append(
                Cell()
                if found is None
                else Cell(
                    _scaled(found.value, column), "" if half is None else _scaled(half, column)
                )
            )
        rows.append(Row(point_name(point.system, point.temperature), cells))
    legend = [f"{column.label}: `{column.metric}`" for column in shown]
    caption = (
        "Every system at its temperatures (T), with the same seeds; ± is half the 95 % interval."
    )
    heads = [Head(column.label, column.arrow) for column in shown]
    return Grid("System", heads, [Block("", rows)], caption, legend=legend)


def frontier_gains(frontier: Frontier) -> Grid:
    """A row per comparison with the baseline: at equal diversity, then at each temperature."""
    blocks = []
    base = frontier.baseline
    for score in frontier.scores:
        column = column_of(frontier, score)
        for diversity in frontier.diversities:
            other = column_of(frontier, diversity)
            gains = [g for g in frontier.gains if (g.score, g.diversity) == (score, diversity)]
            heading = f"{column.label}: against the curve of {base} at equal {other.label}"
            blocks.append(Block(heading, [_gain_row(gain, column, other) for gain in gains]))
        tests = [item for item in frontier.comparisons if item.score == score]
        for against in sorted({item.against for item in tests}):
            mine = [item for item in tests if item.against == against]
            best = ", its best" if mine[0].best else ""
            heading = f"{column.label}: against {point_name(base, against)}{best}"
            blocks.append(Block(heading, [_test_row(item, column) for item in mine]))
    heads = ["Compared at", "Difference", "95 % interval", "p", "p, Holm", "n"]
    caption = (
        f"Score minus that of {base}, over the same n prompts. At equal diversity: minus its curve "
        "across temperatures (straight lines) at the system's own diversity; < and > mark a system "
        "below or above all of the curve, compared with the curve's nearest end. * where p < "
        f"{SIGNIFICANT} after Holm's correction over the rows under one heading."
    )
    return Grid("System", [Head(head) for head in heads], blocks, caption)


def gain_findings(frontier: Frontier) -> list[str]:
    """Which gains hold: at p < 0.05 after Holm's correction, as sentences without a full stop."""
    found = []
    for gain in frontier.gains:
        if gain.p_holm >= SIGNIFICANT:
            continue
        column, other = (column_of(frontier, name) for name in (gain.score, gain.diversity))
        found.append(
            f"{point_name(gain.system, gain.temperature)} is "
            f"{'above' if gain.difference > 0 else 'below'} the curve of {frontier.baseline} in "
            f"{column.label} at equal {other.label} "
            f"({_signed(gain.difference, column)}, p = {gain.p_holm:.2g}{_BEYOND[gain.outside]})"
        )
    return found


def _gain_row(gain: FrontierGain, column: Column, other: Column) -> Row:
    place = f"{other.label} {_scaled(gain.at, other)}{_MARKS[gain.outside]}"
    return Row(point_name(gain.system, gain.temperature), [Cell(place), *_cells(gain, column)])


def _test_row(item: TemperatureComparison, column: Column) -> Row:
    place = Cell(f"T {item.against:g}")
    return Row(point_name(item.system, item.temperature), [place, *_cells(item, column)])


def _cells(item: FrontierGain | TemperatureComparison, column: Column) -> list[Cell]:
    return [
        Cell(_signed(item.difference, column), star=item.p_holm < SIGNIFICANT),
        Cell() if item.ci is None else Cell(_ends(item.ci, column)),
        Cell(f"{item.p_value:.2g}"),
        Cell(f"{item.p_holm:.2g}"),
        Cell(str(item.n)),
    ]


def _ends(ci: Interval, column: Column) -> str:
    return f"{_signed(ci.low, column)} to {_signed(ci.high, column)}"


def _scaled(value: float, column: Column) -> str:
    return f"{value * column.scale:.{column.digits}f}"


def _signed(value: float, column: Column) -> str:
    rounded = round(value * column.scale, column.digits) + 0.0
    sign = "+" if rounded > 0 else "−" if rounded < 0 else "±"
    return f"{sign}{abs(rounded):.{column.digits}f}"

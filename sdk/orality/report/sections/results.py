"""Results as a page shows them: figures with intervals, and what the paired tests allow to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orality.evaluation.results import Comparison, Results, higher_is_better
from orality.evaluation.tables.tables import SIGNIFICANT, Column, columns, is_best
from orality.report.figures.draw import Figure
from orality.report.figures.intervals import Estimate, interval_figure


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure; `test` says how it compares with the baseline, empty where nothing was tested."""

    value: str
    interval: str = ""
    test: str = ""
    best: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A system's line."""

    system: str
    description: str
    cells: Sequence[Cell | None]


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and lines of one table."""

    columns: Sequence[Column]
    rows: Sequence[Row]
    counts: Sequence[str]


@dataclass(frozen=True, slots=True)
class ResultsView:
    """Everything in the section of results."""

    baseline: str
    level: str
    table: Table
    parts: Table | None
    findings: Sequence[str]
    figures: Sequence[Figure]
    tests: Sequence[Sequence[str]]


def results_view(results: Results) -> ResultsView:
    """Arrange results; bold is left to what a paired test against the baseline supports."""
    first = results.systems[0].name if results.systems else ""
    baseline = str(results.settings.get("baseline", first))
    main = columns(results)
    groups = sorted({item.group for item in results.results if item.group is not None})
    parts = columns(results, groups) if groups else []
    levels = {item.ci.level for item in results.results if item.ci}
    return ResultsView(
        baseline=baseline,
        level=f"{100 * max(levels, default=0.95):g} %",
        table=_table(results, main, baseline),
        parts=_table(results, parts, baseline) if parts else None,
        findings=_findings(results, main, baseline),
        figures=[_figure(results, column, baseline) for column in main],
        tests=[_test_row(item, [*main, *parts]) for item in results.comparisons],
    )


def p_text(value: float) -> str:
    """A p-value in words: `p = 0.031`, `p < 0.001`."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def signed(value: float, digits: int) -> str:
    """A difference with its sign; no `-0.0`."""
    rounded = round(value, digits) + 0.0
    sign = "+" if rounded > 0 else "−" if rounded < 0 else "±"
    return f"{sign}{abs(rounded):.{digits}f}"


def _table(results: Results, shown: Sequence[Column], baseline: str) -> Table:
    rows = [
        Row(
            system.name,
            system.description,
            [_cell(results, column, system.name, baseline) for column in shown],
        )
        for system in results.systems
    ]
    return Table(shown, rows, [_counts(results, column) for column in shown])


def _cell(results: Results, column: Column, system: str, baseline: str) -> Cell | None:
    found = results.find(system, column.metric, column.group)
    if found is None:
        return None
    interval = test = ""
    if found.ci is not None:
        low, high = found.ci.low * column.scale, found.ci.high * column.scale
        interval = f"{low:.{column.digits}f} – {high:.{column.digits}f}"
    against = results.compare(column.metric, system, baseline, column.group)
    if against is not None and system != baseline:
        difference = signed(against.difference * column.scale, column.digits)
        test = f"{difference}, {p_text(against.p_holm)}"
    return Cell(
        f"{found.value * column.scale:.{column.digits}f}",
        interval,
        test,
        is_best(results, column, system, baseline),
    )


def _counts(results: Results, column: Column) -> str:
    cells = [
        item
        for item in results.results
        if (item.metric, item.group) == (column.metric, column.group)
    ]

    def span(values: Sequence[int]) -> str:
        low, high = min(values), max(values)
        return str(low) if low == high else f"{low}–{high}"

    text = f"n = {span([item.n for item in cells])}"
    for name, values in (
        ("ties", [item.n_ties for item in cells]),
        ("failed", [item.n_failed for item in cells]),
    ):
        if any(values):
            text += f", {name} {span(values)}"
    return text


def _findings(results: Results, shown: Sequence[Column], baseline: str) -> list[str]:
    found = []
    for system in results.systems:
        for column in shown:
            test = results.compare(column.metric, system.name, baseline, column.group)
            if test is None or system.name == baseline or test.p_holm >= SIGNIFICANT:
                continue
            better = (test.difference > 0) == higher_is_better(column.metric)
            difference = signed(test.difference * column.scale, column.digits)
            found.append(
                f"{system.name} is {'better' if better else 'worse'} than {baseline} in "
                f"{column.label} ({difference}, {p_text(test.p_holm)})"
            )
    return found


def _figure(results: Results, column: Column, baseline: str) -> Figure:
    estimates, level = [], None
    for system in results.systems:
        item = results.find(system.name, column.metric, column.group)
        if item is None:
            continue
        if system.name == baseline:
            level = item.value * column.scale
        low, high = (item.ci.low, item.ci.high) if item.ci else (None, None)
        best = is_best(results, column, system.name, baseline)
        estimates.append(
            Estimate(
                system.name,
                item.value * column.scale,
                None if low is None else low * column.scale,
                None if high is None else high * column.scale,
                "chosen" if best else "plain",
            )
        )
    unit = ", %" if column.scale == 100 else ""
    title = f"{column.label}{unit} {column.arrow}"
    return interval_figure(title, estimates, level=level, digits=column.digits)


def _test_row(item: Comparison, shown: Sequence[Column]) -> list[str]:
    column = next(
        (c for c in shown if (c.metric, c.group) == (item.metric, item.group)),
        Column(item.metric, item.group, item.metric, 1.0, 3),
    )
    interval = ""
    if item.ci is not None:
        low, high = (
            signed(end * column.scale, column.digits) for end in (item.ci.low, item.ci.high)
        )
        interval = f"{low} to {high}"
    return [
        column.label, item.a, item.b, signed(item.difference * column.scale, column.digits),
        interval, f"{item.p_value:.4f}", f"{item.p_holm:.4f}",
        "" if item.p_holm_column is None else f"{item.p_holm_column:.4f}", item.test, str(item.n),
    ]  # fmt: skip

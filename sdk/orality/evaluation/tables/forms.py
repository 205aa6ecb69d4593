"""The forms a paper's tables take: systems by metrics, Align-SLM's Table 1 and its Table 2."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from orality.evaluation.aggregate import GENERATION
from orality.evaluation.benchmarks.find import SHIPPED_PREFIX
from orality.evaluation.benchmarks.swuggy import IN_VOCABULARY
from orality.evaluation.results import Metric, Results
from orality.evaluation.tables.columns import (
    CONTINUATION,
    SIGNIFICANT,
    Column,
    by_family,
    columns,
    family_of,
    is_best,
    is_second,
    measured,
    significant,
)
from orality.evaluation.tables.grid import Block, Cell, Grid, Head, Mark, Row
from orality.evaluation.tables.published import Published, PublishedRow

DAGGER = "†"
WHOLE_AND_IN_VOCABULARY = (None, IN_VOCABULARY)


def systems_by_metrics(
    results: Results, chosen: Sequence[Column] | None = None, *, differences: bool = False
) -> Grid:
    """A row per system, a column per metric, with `differences` another for the change."""
    shown = list(chosen or columns(results))
    heads: list[Head] = []
    for column in shown:
        heads.append(Head(column.label, column.arrow))
        heads += [Head("Diff")] if differences else []
    rows = []
    for system in results.systems:
        cells: list[Cell] = []
        for column in shown:
            cells.append(_cell(results, column, system.name))
            cells += [_difference(results, column, system.name)] if differences else []
        rows.append(Row(system.name, cells))
    legend = [_legend(results, column) for column in shown]
    return Grid("System", heads, [Block("", rows)], _caption(results), legend=legend)


def table1(results: Results, chosen: Sequence[Column] | None = None) -> Grid:
    """Align-SLM's Table 1: metrics by family down, systems across, each with its difference."""
    shown = by_family(list(chosen or columns(results, WHOLE_AND_IN_VOCABULARY)))
    heads = []
    for system in results.systems:
        heads.append(Head(system.name))
        heads += [Head("Diff")] if system.name != results.baseline else []
    blocks: dict[str, list[Row]] = {}
    for column in shown:
        cells = []
        for system in results.systems:
            cells.append(_cell(results, column, system.name))
            if system.name != results.baseline:
                cells.append(_difference(results, column, system.name))
        label = f"{column.label} {column.arrow}"
        blocks.setdefault(column.family, []).append(Row(label, cells))
    caption = (
        f"{_caption(results)} Diff: the difference from {results.baseline}; * where the paired "
        f"test has p < {SIGNIFICANT} after Holm's correction."
    )
    legend = [_legend(results, column) for column in shown]
    parts = [Block(name, rows) for name, rows in blocks.items()]
    return Grid("Metric", heads, parts, caption, legend=legend)


def table2(
    results: Results,
    published: Published | None = None,
    *,
    group: str = "",
    chosen: Sequence[Column] | None = None,
) -> Grid:
    """Align-SLM's Table 2: rows by size or data, published systems and ours, families of columns.

    Our systems go under the heading `group`. Published figures are marked as such, never bold and
    never tested. They stand in our column only where its label or metric id is theirs and our
    benchmark is not one that comes with orality; otherwise in a column of their own.
    """
    rows = list(published.rows) if published else []
    shown, theirs = _merged(results, list(chosen or columns(results, WHOLE_AND_IN_VOCABULARY)),
                            published or Published())  # fmt: skip
    blocks: dict[str, list[Row]] = {row.group: [] for row in rows}
    for row in rows:
        cells = [_published_cell(row, column, theirs) for column in shown]
        blocks[row.group].append(Row(row.system, cells, DAGGER))
    for system in results.systems:
        cells = [_cell(results, column, system.name) for column in shown]
        blocks.setdefault(group, []).append(Row(system.name, cells))
    sources = published.sources if published else []
    notes = [f"{DAGGER} not measured here: {source}" for source in sources]
    caption = _caption(results) + (
        f" {DAGGER} published figures, never marked: nothing here tests them." if rows else ""
    )
    return Grid(
        "System",
        [Head(column.label, column.arrow, column.family) for column in shown],
        [Block(name, lines) for name, lines in blocks.items()],
        caption,
        notes,
        [_legend(results, column) for column in shown if measured(results, column)],
    )


def _merged(
    results: Results, ours: Sequence[Column], published: Published
) -> tuple[list[Column], dict[Column, str]]:
    """All columns, and by which name published rows know each."""
    theirs: dict[Column, str] = {}
    extra: list[Column] = []
    for name in dict.fromkeys(name for row in published.rows for name in row.values):
        match = next((c for c in ours if name in (c.label, c.metric)), None)
        if match is not None and not _own_data(results, match) and match not in theirs:
            theirs[match] = name
            continue
        label = name if match is None else f"{name}, published"
        family = match.family if match else family_of(name, CONTINUATION)
        digits = 2 if any(_decimals(r.values[name][0]) > 1 for r in published.rows
                          if name in r.values) else 1  # fmt: skip
        lower = name in published.lower_is_better or bool(match and not match.higher_is_better)
        column = Column(f"published/{name}", None, label, 1.0, digits, family, lower)
        theirs[column] = name
        extra.append(column)
    return by_family([*ours, *extra]), theirs


def _own_data(results: Results, column: Column) -> bool:
    """Whether a column was measured on a benchmark of the package, which nobody else reports."""
    used = results.settings.get("benchmarks") or {}
    names = [m.benchmark for m in measured(results, column).values() if m.benchmark != GENERATION]
    return any(str(used.get(n, {}).get("source", "")).startswith(SHIPPED_PREFIX) for n in names)


def _published_cell(row: PublishedRow, column: Column, theirs: Mapping[Column, str]) -> Cell:
    figure = row.values.get(theirs.get(column, ""))
    if figure is None:
        return Cell()
    value, half = figure
    digits = max(column.digits, _decimals(value))
    return Cell(f"{value:.{digits}f}", "" if half is None else f"{half:.{digits}f}")


def _decimals(value: float) -> int:
    return len(f"{value:.10f}".rstrip("0").partition(".")[2])


def _cell(results: Results, column: Column, system: str) -> Cell:
    found = results.find(system, column.metric, column.group)
    if found is None:
        return Cell()
    mark: Mark = ""
    tests: tuple[tuple[Mark, Callable[..., bool]], ...] = (("best", is_best), ("second", is_second))
    for name, test in tests:
        if not mark and test(results, column, system, results.baseline):
            mark = name
    return replace(_figure(found, column), mark=mark)


def _figure(found: Metric, column: Column) -> Cell:
    def written(value: float) -> str:
        return f"{value * column.scale:.{column.digits}f}"

    half = "" if found.ci is None else written((found.ci.high - found.ci.low) / 2)
    return Cell(written(found.value), half, "" if found.sd is None else written(found.sd))


def _difference(results: Results, column: Column, system: str) -> Cell:
    mine = results.find(system, column.metric, column.group)
    base = results.find(results.baseline, column.metric, column.group)
    if mine is None or base is None or system == results.baseline:
        return Cell()
    change = round((mine.value - base.value) * column.scale, column.digits) + 0.0
    sign = "+" if change > 0 else "−" if change < 0 else "±"
    star = significant(results, column, system, results.baseline)
    return Cell(f"{sign}{abs(change):.{column.digits}f}", star=star)


def _caption(results: Results) -> str:
    levels = {item.ci.level for item in results.results if item.ci}
    level = f"{100 * max(levels, default=0.95):g} %"
    text = (
        f"± is half the {level} interval. Bold: the best, where a paired test against "
        f"{results.baseline} has p < {SIGNIFICANT} after Holm's correction"
    )
    if any(item.sd is not None for item in results.results):
        text += ". sd: over seeds"
    return text + "."


def _legend(results: Results, column: Column) -> str:
    cells = list(measured(results, column).values())
    counts = sorted({cell.n for cell in cells})
    text = f"{column.label}: `{column.metric}`, n = {_span(counts)}"
    if cells and cells[0].benchmark != GENERATION:
        text += f", ties {_share(cells)}"
    if any(cell.n_failed for cell in cells):
        text += f", failed {_span(sorted({cell.n_failed for cell in cells}))}"
    unpaired = [
        c.n_unpaired
        for c in results.comparisons
        if (c.metric, c.group, c.b) == (column.metric, column.group, results.baseline)
    ]
    if any(unpaired):
        text += f", without counterpart {_span(sorted(set(unpaired)))}"
    corrected = [
        f"{c.a} {c.p_holm_column:.2g}"
        for c in results.comparisons
        if (c.metric, c.group, c.b) == (column.metric, column.group, results.baseline)
        and c.p_holm_column is not None
    ]
    if corrected:
        text += f"; p after Holm within this column: {', '.join(corrected)}"
    return text


def _share(cells: Sequence[Metric]) -> str:
    shares = [100 * cell.n_ties / cell.n for cell in cells]
    low, high = f"{min(shares):.1f}", f"{max(shares):.1f}"
    return f"{low} %" if low == high else f"{low} to {high} %"


def _span(counts: Sequence[int]) -> str:
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"

"""Results as tables in the form of Align-SLM's Table 1: Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orality.evaluation.aggregate import GENERATION
from orality.evaluation.results import Metric, Results, higher_is_better
from orality.store.files import atomic_write

SIGNIFICANT = 0.05
_LABELS = {"judge": "Judge score", "auto-bleu": "Auto-BLEU", "ppl": "PPL", "empty": "Empty"}
_CSV_COLUMNS = (
    "system", "metric", "benchmark", "group", "value", "ci_low", "ci_high", "n", "n_failed",
    "n_ties", "difference", "p_value", "p_holm", "test",
)  # fmt: skip
_PERCENT = ("auto-bleu", "wer", "cer", "empty")


@dataclass(frozen=True, slots=True)
class Column:
    """A column: one metric of one part of a benchmark. `scale`: 100 where percent is printed."""

    metric: str
    group: str | None
    label: str
    scale: float
    digits: int

    @property
    def arrow(self) -> str:
        """Which way is better."""
        return "↑" if higher_is_better(self.metric) else "↓"


def columns(results: Results, groups: Sequence[str | None] = (None,)) -> list[Column]:
    """The results' metrics in order; a benchmark is labeled by its name, the rest by their kind."""
    found: dict[tuple[str, str | None], Column] = {}
    for item in results.results:
        if item.group not in groups:
            continue
        kind = item.metric.split("/")[0]
        if item.benchmark == GENERATION:
            scale = 100.0 if kind in _PERCENT else 1.0
            column = Column(
                item.metric,
                item.group,
                _LABELS.get(kind, item.metric),
                scale,
                2 if kind == "judge" else 1,
            )
        else:
            label = item.benchmark + (f" ({item.group})" if item.group else "")
            column = Column(item.metric, item.group, label, 100.0, 1)
        found.setdefault((item.metric, item.group), column)
    return list(found.values())


def is_best(results: Results, column: Column, system: str, baseline: str) -> bool:
    """Whether a system's figure is the column's best and the paired tests say so.

    A system other than the baseline must differ from it at p < 0.05 after Holm's correction; the
    baseline itself must so differ from every other.
    """
    cells = _cells(results, column)
    if system not in cells or len(cells) < 2:
        return False
    sign = 1 if higher_is_better(column.metric) else -1
    if sign * cells[system].value < max(sign * cell.value for cell in cells.values()):
        return False
    rivals = [system] if system != baseline else [name for name in cells if name != baseline]
    tests = [results.compare(column.metric, name, baseline, column.group) for name in rivals]
    return all(test is not None and test.p_holm < SIGNIFICANT for test in tests)


def markdown_table(results: Results, chosen: Sequence[Column] | None = None) -> str:
    """The table and, below it, what each column is: metric id, counts, ties, failures."""
    shown = list(chosen or columns(results))
    lines = [
        "| System | " + " | ".join(f"{c.label} {c.arrow}" for c in shown) + " |",
        "|:--|" + "--:|" * len(shown),
    ]
    baseline = _baseline(results)
    for system in results.systems:
        row = [_text(results, column, system.name, baseline, "**{}**") for column in shown]
        lines.append(f"| {system.name.replace('|', '/')} | " + " | ".join(row) + " |")
    lines += ["", _caption(results, baseline), ""]
    lines += [f"- {line}" for line in map(lambda c: _legend(results, c), shown)]
    return "\n".join(lines) + "\n"


def latex_table(results: Results, chosen: Sequence[Column] | None = None) -> str:
    """The same table for LaTeX; needs the package booktabs."""
    shown = list(chosen or columns(results))
    arrows = {"↑": r"$\uparrow$", "↓": r"$\downarrow$"}
    heads = [f"{_escape(c.label)} {arrows[c.arrow]}" for c in shown]
    baseline = _baseline(results)
    lines = [
        r"\begin{tabular}{l" + "r" * len(shown) + "}",
        r"\toprule",
        " & ".join(["System", *heads]) + r" \\",
        r"\midrule",
    ]
    for system in results.systems:
        row = [_text(results, column, system.name, baseline, r"\textbf{{{}}}") for column in shown]
        cells = [cell.replace("±", r"$\pm$").replace("–", "--") for cell in row]
        lines.append(" & ".join([_escape(system.name), *cells]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def csv_table(results: Results) -> str:
    """Every figure of every group, one per line, unrounded, with its test against the baseline."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_CSV_COLUMNS)
    baseline = _baseline(results)
    for item in results.results:
        test = results.compare(item.metric, item.system, baseline, item.group)
        interval = (item.ci.low, item.ci.high) if item.ci else ("", "")
        writer.writerow(
            [
                *(item.system, item.metric, item.benchmark, item.group or "", item.value),
                *(*interval, item.n, item.n_failed, item.n_ties),
                *((test.difference, test.p_value, test.p_holm, test.test) if test else [""] * 4),
            ]
        )
    return buffer.getvalue()


def write_tables(out: Path, results: Results) -> None:
    """Write `table.md`, `table.csv` and `table.tex` into a folder."""
    for name, text in (
        ("table.md", markdown_table(results)),
        ("table.csv", csv_table(results)),
        ("table.tex", latex_table(results)),
    ):
        data = text.encode()
        atomic_write(out / name, lambda file, data=data: file.write(data))  # type: ignore[misc]


def _baseline(results: Results) -> str:
    first = results.systems[0].name if results.systems else ""
    return str(results.settings.get("baseline", first))


def _cells(results: Results, column: Column) -> dict[str, Metric]:
    found = {s.name: results.find(s.name, column.metric, column.group) for s in results.systems}
    return {name: cell for name, cell in found.items() if cell is not None}


def _text(results: Results, column: Column, system: str, baseline: str, bold: str) -> str:
    cell = results.find(system, column.metric, column.group)
    if cell is None:
        return "–"
    value = f"{cell.value * column.scale:.{column.digits}f}"
    if is_best(results, column, system, baseline):
        value = bold.format(value)
    if cell.ci is None:
        return value
    half = (cell.ci.high - cell.ci.low) / 2 * column.scale
    return f"{value} ±{half:.{column.digits}f}"


def _caption(results: Results, baseline: str) -> str:
    levels = {item.ci.level for item in results.results if item.ci}
    level = f"{100 * max(levels, default=0.95):g} %"
    return (
        f"± is half the {level} interval. Bold: the best, where a paired test against "
        f"{baseline} has p < {SIGNIFICANT} after Holm's correction."
    )


def _legend(results: Results, column: Column) -> str:
    cells = list(_cells(results, column).values())
    counts = sorted({cell.n for cell in cells})
    text = f"{column.label}: `{column.metric}`, n = {_span(counts)}"
    if cells and cells[0].benchmark != GENERATION:
        text += f", ties {_share(cells)}"
    if any(cell.n_failed for cell in cells):
        text += f", failed {_span(sorted({cell.n_failed for cell in cells}))}"
    return text


def _share(cells: Sequence[Metric]) -> str:
    shares = [100 * cell.n_ties / cell.n for cell in cells]
    low, high = f"{min(shares):.1f}", f"{max(shares):.1f}"
    return f"{low} %" if low == high else f"{low} to {high} %"


def _span(counts: Sequence[int]) -> str:
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def _escape(text: str) -> str:
    return "".join(f"\\{c}" if c in "&%$#_{}" else c for c in text)

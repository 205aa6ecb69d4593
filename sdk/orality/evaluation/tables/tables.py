"""Results as the tables of a paper: Markdown, LaTeX and CSV, all made from `results.json`."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from orality.errors import EvaluationError
from orality.evaluation.frontier.points import pool_frontiers
from orality.evaluation.frontier.tables import frontier_gains, frontier_points
from orality.evaluation.markdown import markdown
from orality.evaluation.results import (
    Item,
    Results,
    read_items,
    read_results,
    write_results,
)
from orality.evaluation.seeds import Run, pool_seeds
from orality.evaluation.tables.columns import SIGNIFICANT, Column, columns, is_best, is_second
from orality.evaluation.tables.forms import systems_by_metrics, table1, table2
from orality.evaluation.tables.grid import Grid
from orality.evaluation.tables.latex import latex
from orality.evaluation.tables.published import Published
from orality.store.files import atomic_write
from orality.untrusted.escaping import csv_cell

__all__ = [
    "SIGNIFICANT",
    "Column",
    "columns",
    "csv_table",
    "is_best",
    "is_second",
    "latex_table",
    "markdown_table",
    "regenerate_tables",
    "stored_results",
    "write_tables",
]

_CSV_COLUMNS = (
    "system", "metric", "benchmark", "group", "value", "ci_low", "ci_high", "sd", "seeds", "n",
    "n_failed", "n_ties", "n_unpaired", "source", "difference", "p_value", "p_holm",
    "p_holm_column", "test",
)  # fmt: skip


def markdown_table(results: Results, chosen: Sequence[Column] | None = None) -> str:
    """Systems by metrics and, below, what each column is: metric id, counts, ties, failures."""
    return markdown(systems_by_metrics(results, chosen))


def latex_table(results: Results, chosen: Sequence[Column] | None = None) -> str:
    """The same table for LaTeX; needs the package booktabs."""
    return latex(systems_by_metrics(results, chosen))


def csv_table(results: Results, published: Published | None = None) -> str:
    """Every figure of every group, one per line, unrounded, with its test against the baseline.

    Published figures follow, with their source and in the scale they were printed in.
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, _CSV_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for item in results.results:
        test = results.compare(item.metric, item.system, results.baseline, item.group)
        row: dict[str, object] = {
            "system": item.system, "metric": item.metric, "benchmark": item.benchmark,
            "group": item.group or "", "value": item.value, "n": item.n,
            "n_failed": item.n_failed, "n_ties": item.n_ties,
        }  # fmt: skip
        if item.ci is not None:
            row |= {"ci_low": item.ci.low, "ci_high": item.ci.high}
        if test is not None:
            row |= {
                "difference": test.difference, "p_value": test.p_value, "p_holm": test.p_holm,
                "test": test.test, "n_unpaired": test.n_unpaired,
            }  # fmt: skip
            if test.p_holm_column is not None:
                row["p_holm_column"] = test.p_holm_column
        if item.sd is not None:
            row["sd"] = item.sd
        row["seeds"] = " ".join(f"{seed}:{value}" for seed, value in item.seeds.items())
        writer.writerow({name: csv_cell(value) for name, value in row.items()})
    for line in published.rows if published else ():
        for name, (value, half) in line.values.items():
            bounds = {} if half is None else {"ci_low": value - half, "ci_high": value + half}
            writer.writerow(
                {"system": csv_cell(line.system), "metric": csv_cell(name),
                 "group": csv_cell(line.group), "value": value, "source": csv_cell(line.source),
                 **bounds}
            )  # fmt: skip
    return buffer.getvalue()


def write_tables(
    out: Path, results: Results, *, published: Published | None = None, group: str = ""
) -> list[Path]:
    """Write `table`, `table1` and `table2` as .md and .tex, and all figures as `table.csv`.

    `table` has systems by metrics, `table1` and `table2` are in the forms of Align-SLM's; `group`
    heads our systems among `published` ones. Where systems were sampled at several temperatures,
    `table.md` has them below, and `frontier.tex`.
    """
    grids: dict[str, Grid] = {
        "table": systems_by_metrics(results),
        "table1": table1(results),
        "table2": table2(results, published, group=group),
    }
    texts = {"table.csv": csv_table(results, published)}
    for name, grid in grids.items():
        told = f"% needs booktabs. {grid.caption} Underlined: the second best, likewise.\n"
        texts |= {f"{name}.md": markdown(grid), f"{name}.tex": told + latex(grid)}
    if results.frontier is not None:
        points, gains = frontier_points(results.frontier), frontier_gains(results.frontier)
        below = f"\n## Across temperatures\n\n{markdown(points)}\n{markdown(gains)}"
        texts["table.md"] += below
        texts["frontier.tex"] = "".join(
            f"% needs booktabs. {grid.caption}\n{latex(grid)}" for grid in (points, gains)
        )
    for name, text in texts.items():
        data = text.encode()
        atomic_write(out / name, lambda file, data=data: file.write(data))  # type: ignore[misc]
    return [out / name for name in texts]


def stored_results(run: Path) -> Path:
    """Where a run, or an evaluation's folder, holds its results; EvaluationError if nowhere."""
    for path in (run / "results.json", run / "evaluation" / "results.json"):
        if path.is_file():
            return path
    raise EvaluationError(f"{run} holds no results.json; `orality evaluate` makes one")


def regenerate_tables(
    runs: Path | Sequence[Path],
    *,
    published: Published | None = None,
    group: str = "",
    out: Path | None = None,
) -> list[Path]:
    """Write all tables of a stored run anew, from its `results.json` alone; their paths.

    Several runs of one recipe are pooled over their seeds, from their `items.jsonl` and, where all
    have one, `frontier-items.jsonl`; they need an `out`, which then holds `results.json` as well.
    """
    folders = [runs] if isinstance(runs, Path) else list(runs)
    stored = [stored_results(folder) for folder in folders]
    if len(stored) == 1:
        results, place = read_results(stored[0]), out or stored[0].parent
    elif out is None:
        raise EvaluationError("the tables of several runs need a folder of their own; give one")
    else:
        results, place = _over_seeds(folders), out
        write_results(place / "results.json", results)
    return write_tables(place, results, published=published, group=group)


def _over_seeds(folders: Sequence[Path]) -> Results:
    found: dict[str, Run] = {}
    swept: dict[str, list[Item]] = {}
    for folder in folders:
        results = read_results(stored_results(folder))
        seed = str(results.settings.get("seed", folder.name))
        if seed in found:
            raise EvaluationError(
                f"two of the runs, {folder} the later, have seed {seed}: runs of different seeds "
                "are pooled, nothing else"
            )
        found[seed] = (results, read_items(_stored_items(folder, "items.jsonl")))
        if results.frontier is not None:
            swept[seed] = read_items(_stored_items(folder, "frontier-items.jsonl"))
    pooled, first = pool_seeds(found), next(iter(found.values()))[0].frontier
    if first is None or swept.keys() != found.keys():
        return pooled
    return replace(pooled, frontier=pool_frontiers(first, swept, seed=0))


def _stored_items(folder: Path, name: str) -> Path:
    places = (folder / name, folder / "evaluation" / name)
    return next((path for path in places if path.is_file()), places[0])

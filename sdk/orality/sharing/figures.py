"""A system's results as cards, `model-index` and `.eval_results` tell them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml
from markupsafe import Markup

from orality.errors import SharingError
from orality.evaluation.aggregate import GENERATION
from orality.evaluation.results import Comparison, Metric, Results
from orality.evaluation.tables.columns import Column, columns
from orality.sharing.base import repository_id
from orality.sharing.markdown import neutral, plain
from orality.sharing.source import without_paths


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: what a system and the baseline reached, in the column's scale.

    `scale`: 100 where percent are told. `benchmark` None: measured on held-out prompts.
    """

    metric: Metric
    label: str
    scale: float
    digits: int
    arrow: str
    before: Metric | None
    comparison: Comparison | None

    @property
    def benchmark(self) -> str | None:
        """The benchmark's name in the recipe."""
        return None if self.metric.benchmark == GENERATION else self.metric.benchmark

    @property
    def unit(self) -> str:
        """Percent, or nothing."""
        return "%" if self.scale == 100 else ""

    def tell(self, value: float) -> str:
        """A value as text."""
        return f"{value * self.scale:.{self.digits}f}"

    def with_interval(self, found: Metric | Comparison | None) -> str:
        """A value and its interval as text."""
        if found is None:
            return "–"
        value = found.value if isinstance(found, Metric) else found.difference
        if found.ci is None:
            return self.tell(value)
        return f"{self.tell(value)} ({self.tell(found.ci.low)} to {self.tell(found.ci.high)})"

    @property
    def row(self) -> Markup:
        """A row of a card's table."""
        test = self.comparison
        told = [
            f"{self.label}{', %' if self.unit else ''} {self.arrow}",
            *map(self.with_interval, (self.metric, self.before, test)),
            f"{test.p_value:.3g}" if test else "–",
            f"{test.p_holm:.3g}" if test else "–",
            str(self.metric.n),
        ]
        return Markup("| " + " | ".join(map(neutral, told)) + " |")

    @property
    def interval(self) -> dict[str, Any]:
        """How sure the value is, as plain data in the figure's scale."""
        item = self.metric
        found: dict[str, Any] = {"n": item.n, "n_failed": item.n_failed, "n_ties": item.n_ties}
        if item.ci is not None:
            found |= {
                "interval_low": round(item.ci.low * self.scale, 6),
                "interval_high": round(item.ci.high * self.scale, 6),
                "interval_level": item.ci.level,
                "interval_method": item.ci.method,
            }
        return found


def figures_of(results: Results | None, system: str) -> list[Figure]:
    """The system's figures on whole benchmarks, in the table's order."""
    if results is None:
        return []
    baseline = str(results.settings.get("baseline", "pre-trained"))
    return [
        Figure(
            metric=found, label=column.label, scale=column.scale, digits=column.digits,
            arrow=column.arrow,
            before=None if system == baseline else results.find(baseline, column.metric),
            comparison=results.compare(column.metric, system, baseline),
        )
        for column in _columns(results)
        if (found := results.find(system, column.metric)) is not None
    ]  # fmt: skip


def intervals_of(figures: Sequence[Figure]) -> str:
    """What the figures' intervals are, in words."""
    found = {figure.metric.ci for figure in figures if figure.metric.ci is not None}
    kinds = sorted({f"{100 * item.level:g} % intervals ({item.method})" for item in found})
    return ", ".join(kinds) or "nothing, no interval is known"


def model_index(
    figures: Sequence[Figure], name: str, results: Results | None, ids: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The metadata `model-index` of a model card; `ids`: repositories of benchmarks, by name."""
    if results is None or not figures:
        return []
    by_benchmark: dict[str | None, list[Figure]] = {}
    for figure in figures:
        by_benchmark.setdefault(figure.benchmark, []).append(figure)
    rows = [
        {
            "task": {"type": "audio-to-audio", "name": "Spoken language modeling"},
            "dataset": {
                "name": benchmark or "held-out prompts",
                "type": ids.get(benchmark or "", "").partition("#")[0] or _slug(found[0]),
                "args": _source(results, benchmark),
            },
            "metrics": [_indexed(figure) for figure in found],
        }
        for benchmark, found in by_benchmark.items()
    ]
    return [{"name": name, "results": rows}]


def _indexed(figure: Figure) -> dict[str, Any]:
    return {
        "type": "accuracy" if figure.benchmark else figure.metric.metric.split("/")[0],
        "value": round(figure.metric.value * figure.scale, 6),
        "name": f"{figure.label}{', %' if figure.unit else ''}",
        "config": figure.metric.metric,
        "args": figure.interval,
    }


def eval_results(
    figures: Sequence[Figure],
    results: Results | None,
    ids: Mapping[str, str],
    *,
    date: str,
    url: str | None,
) -> dict[str, list[dict[str, Any]]]:
    """What the files of `.eval_results` hold, by file name: one file for each benchmark.

    `ids`: benchmarks of the Hub by name, `OWNER/NAME#TASK`. One that has no id there is called
    `unknown/NAME`, and its notes say where its data came from.
    """
    files: dict[str, list[EvalResultEntry]] = {}
    for figure in figures:
        if results is None or figure.benchmark is None:
            continue
        given, _, task = ids.get(figure.benchmark, "").partition("#")
        source = _source(results, figure.benchmark)
        told = f"{figure.metric.metric} in %, {figure.with_interval(figure.metric)}"
        level = f"{100 * figure.metric.ci.level:g} % interval, " if figure.metric.ci else ""
        where = f"data {source.get('source', 'unknown')}, sha256 {source.get('sha256', 'unknown')}"
        entry = EvalResultEntry(
            dataset_id=given or f"unknown/{_slug(figure)}",
            task_id=task or "default",
            value=round(figure.metric.value * figure.scale, 6),
            date=date,
            source_url=url,
            source_name="Model card" if url else None,
            notes=plain(
                f"{'' if given else 'not a benchmark of the Hub; '}{told} ({level}"
                f"n = {figure.metric.n}); {where}"
            ),
        )
        files.setdefault(f"{_slug(figure)}.yaml", []).append(entry)
    return {name: eval_result_entries_to_yaml(entries) for name, entries in files.items()}


def benchmark_ids(rows: Sequence[str], figures: Sequence[Figure]) -> dict[str, str]:
    """`NAME=OWNER/NAME#TASK` as a mapping; SharingError for what names no measured benchmark."""
    found = {}
    measured = {figure.benchmark for figure in figures} - {None}
    for row in rows:
        name, _, rest = row.partition("=")
        if name not in measured:
            known = ", ".join(sorted(map(str, measured))) or "none"
            raise SharingError(f"{name!r} is no benchmark of this run; it was measured on: {known}")
        repository, _, task = rest.partition("#")
        found[name] = repository_id(repository) + (f"#{task}" if task else "")
    return found


def _columns(results: Results) -> list[Column]:
    return [column for column in columns(results) if column.group is None]


def _source(results: Results, benchmark: str | None) -> dict[str, Any]:
    if benchmark is None:
        return {"prompts": results.settings.get("prompts")}
    known = (results.settings.get("benchmarks") or {}).get(benchmark) or {}
    return dict(without_paths(known))


def _slug(figure: Figure) -> str:
    name = figure.benchmark or figure.metric.benchmark
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "benchmark"

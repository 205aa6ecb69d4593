"""Measuring spoken language models: one module per benchmark or metric family."""

from __future__ import annotations

from orality.evaluation.benchmarks import BenchmarkSource, find_benchmark, shipped_benchmark
from orality.evaluation.continuations import EvaluationPrompt
from orality.evaluation.correlation import correlate, krippendorff_alpha
from orality.evaluation.crowdmos import (
    crowdmos_interval,
    mean_opinion,
    naive_interval,
    opinion_score,
    opinion_variance,
    outlying_raters,
    rater_correlations,
)
from orality.evaluation.evaluate import SystemInfo, evaluate_systems
from orality.evaluation.published import Published, PublishedRow, read_published
from orality.evaluation.results import Results, read_items, read_results
from orality.evaluation.seeds import pool_seeds, summarize_seeds
from orality.evaluation.statistics import (
    Interval,
    accuracy_interval,
    binomial_interval,
    bootstrap_interval,
    holm,
    mcnemar_p,
    pair_items,
    paired_interval,
    permutation_p,
)
from orality.evaluation.tables import (
    csv_table,
    latex_table,
    markdown_table,
    regenerate_tables,
    write_tables,
)

__all__ = [
    "BenchmarkSource",
    "EvaluationPrompt",
    "Interval",
    "Published",
    "PublishedRow",
    "Results",
    "SystemInfo",
    "accuracy_interval",
    "binomial_interval",
    "bootstrap_interval",
    "correlate",
    "crowdmos_interval",
    "csv_table",
    "evaluate_systems",
    "find_benchmark",
    "holm",
    "krippendorff_alpha",
    "latex_table",
    "markdown_table",
    "mcnemar_p",
    "mean_opinion",
    "naive_interval",
    "opinion_score",
    "opinion_variance",
    "outlying_raters",
    "pair_items",
    "paired_interval",
    "permutation_p",
    "pool_seeds",
    "rater_correlations",
    "read_items",
    "read_published",
    "read_results",
    "regenerate_tables",
    "shipped_benchmark",
    "summarize_seeds",
    "write_tables",
]

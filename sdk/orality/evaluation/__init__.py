"""Measuring spoken language models: one module per benchmark or metric family."""

from __future__ import annotations

from orality.evaluation.benchmarks import BenchmarkSource, find_benchmark, shipped_benchmark
from orality.evaluation.continuations import EvaluationPrompt
from orality.evaluation.evaluate import SystemInfo, evaluate_systems
from orality.evaluation.packed_scoring import log_likelihoods
from orality.evaluation.results import Results, read_results

__all__ = [
    "BenchmarkSource",
    "EvaluationPrompt",
    "Results",
    "SystemInfo",
    "evaluate_systems",
    "find_benchmark",
    "log_likelihoods",
    "read_results",
    "shipped_benchmark",
]

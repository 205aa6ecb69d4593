"""Measuring spoken language models: one module per benchmark or metric family."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from orality.evaluation.benchmarks.find import BenchmarkSource, find_benchmark, shipped_benchmark
from orality.evaluation.continuations.choices import generation_metrics
from orality.evaluation.continuations.metric import GenerationMetric, Observation, Spoken
from orality.evaluation.continuations.sample import EvaluationPrompt, SamplingSetup
from orality.evaluation.continuations.temperatures import sweep_temperatures
from orality.evaluation.evaluate import SystemInfo, evaluate_systems
from orality.evaluation.from_recipe import check_metrics, further_judges
from orality.evaluation.frontier.curve import ClusterPoint, Gain, curve_score, gain_over_curve
from orality.evaluation.likelihood.accuracy import predicted_tokens
from orality.evaluation.likelihood.packed_scoring import log_likelihoods
from orality.evaluation.likelihood.score_files import read_scores, zerospeech_accuracies
from orality.evaluation.likelihood.submission import (
    recording_scores,
    write_scores,
    write_submission,
)
from orality.evaluation.metrics.abx import AbxToken, abx_error, read_abx_items, zerospeech_abx
from orality.evaluation.metrics.dns_mos import dnsmos
from orality.evaluation.metrics.f0 import f0_of
from orality.evaluation.metrics.gslm import (
    gslm_auto_bleu,
    repeated_share,
    self_bleu,
    self_bleus,
    vert,
)
from orality.evaluation.metrics.nisqa_mos import nisqa
from orality.evaluation.metrics.perplexities import perplexity
from orality.evaluation.metrics.prosody import prosody_correlation, prosody_min_mae, prosody_std
from orality.evaluation.metrics.repetition import auto_bleu
from orality.evaluation.metrics.stsp import read_stsp, read_stsp_predictions, stsp_accuracy
from orality.evaluation.metrics.tradeoff import TemperaturePoint, perplexity_vert_tradeoff
from orality.evaluation.metrics.wer import character_error_rate, normalize_english, word_error_rate
from orality.evaluation.results import Results, read_items, read_results
from orality.evaluation.resynthesis import resynthesis_error_rates
from orality.evaluation.seeds import pool_seeds, summarize_seeds
from orality.evaluation.statistics.correlation import correlate, krippendorff_alpha
from orality.evaluation.statistics.crowdmos import (
    crowdmos_interval,
    mean_opinion,
    naive_interval,
    opinion_score,
    opinion_variance,
    outlying_raters,
    rater_correlations,
)
from orality.evaluation.statistics.intervals import (
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
from orality.evaluation.tables.published import Published, PublishedRow, read_published
from orality.evaluation.tables.tables import (
    csv_table,
    latex_table,
    markdown_table,
    regenerate_tables,
    write_tables,
)

if TYPE_CHECKING:
    from orality.evaluation.metrics.speakers import speaker_similarity
    from orality.evaluation.metrics.ssl_mos import ssl_mos
    from orality.evaluation.text_lm import text_nlls

# What cannot be had without torch is imported when first asked for.
_LAZY = {
    "speaker_similarity": "orality.evaluation.metrics.speakers",
    "ssl_mos": "orality.evaluation.metrics.ssl_mos",
    "text_nlls": "orality.evaluation.text_lm",
}

__all__ = [
    "AbxToken",
    "BenchmarkSource",
    "ClusterPoint",
    "EvaluationPrompt",
    "Gain",
    "GenerationMetric",
    "Interval",
    "Observation",
    "Published",
    "PublishedRow",
    "Results",
    "SamplingSetup",
    "Spoken",
    "SystemInfo",
    "TemperaturePoint",
    "abx_error",
    "accuracy_interval",
    "auto_bleu",
    "binomial_interval",
    "bootstrap_interval",
    "character_error_rate",
    "check_metrics",
    "correlate",
    "crowdmos_interval",
    "csv_table",
    "curve_score",
    "dnsmos",
    "evaluate_systems",
    "f0_of",
    "find_benchmark",
    "further_judges",
    "gain_over_curve",
    "generation_metrics",
    "gslm_auto_bleu",
    "holm",
    "krippendorff_alpha",
    "latex_table",
    "log_likelihoods",
    "markdown_table",
    "mcnemar_p",
    "mean_opinion",
    "naive_interval",
    "nisqa",
    "normalize_english",
    "opinion_score",
    "opinion_variance",
    "outlying_raters",
    "pair_items",
    "paired_interval",
    "permutation_p",
    "perplexity",
    "perplexity_vert_tradeoff",
    "pool_seeds",
    "predicted_tokens",
    "prosody_correlation",
    "prosody_min_mae",
    "prosody_std",
    "rater_correlations",
    "read_abx_items",
    "read_items",
    "read_published",
    "read_results",
    "read_scores",
    "read_stsp",
    "read_stsp_predictions",
    "recording_scores",
    "regenerate_tables",
    "repeated_share",
    "resynthesis_error_rates",
    "self_bleu",
    "self_bleus",
    "shipped_benchmark",
    "speaker_similarity",
    "ssl_mos",
    "stsp_accuracy",
    "summarize_seeds",
    "sweep_temperatures",
    "text_nlls",
    "vert",
    "word_error_rate",
    "write_scores",
    "write_submission",
    "write_tables",
    "zerospeech_abx",
    "zerospeech_accuracies",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'orality.evaluation' has no attribute {name!r}")

"""A listening test's ratings as results and items, so that tables treat them like other figures."""

from __future__ import annotations

from orality.evaluation.aggregate import GENERATION
from orality.evaluation.provenance import provenance
from orality.evaluation.results import Comparison, Item, Metric, Results, System
from orality.listening.analysis import Analysis
from orality.listening.key import Key

MMOS = "mmos/1-5-meaningfulness"


def opinion_results(key: Key, analysis: Analysis) -> Results:
    """Mean opinion scores with CrowdMOS's interval, compared by prompt, as a metric of its own."""
    figures = [
        Metric(name, MMOS, GENERATION, None, score.mean, score.n, 0, 0, score.ci)
        for name, score in analysis.scores.items()
    ]
    tests = [
        Comparison(
            MMOS, GENERATION, None, d.a, d.b, d.difference, d.ci, d.p_value, d.p_holm,
            "paired-permutation", d.n,
        )
        for d in analysis.differences
    ]  # fmt: skip
    out = analysis.exclusions
    return Results(
        systems=[System(name) for name in analysis.scores],
        results=figures,
        comparisons=tests,
        settings={
            "baseline": next(iter(analysis.scores)),
            "listening_test": key.test,
            "scale": key.scale,
            "raters": out.raters,
            "failed_checks": len(out.failed_checks),
            "outliers": len(out.outliers),
        },
        provenance=provenance(),
    )


def opinion_items(analysis: Analysis) -> list[Item]:
    """One item per rated sample: the mean of its counted ratings, its prompt the cluster."""
    return [
        Item(
            str(row["samples"]), str(row["systems"]), MMOS, float(str(row["human"])),
            str(row["prompt"]), {"ratings": row["ratings"], "trial": row["trial"]},
        )
        for row in analysis.points
    ]  # fmt: skip

"""One system's measurements: its likelihood benchmarks and its continuations, as they come in."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orality.errors import EvaluationError
from orality.evaluation.aggregate import Measured, measure_accuracy
from orality.evaluation.benchmarks.pairs import BenchmarkPair
from orality.evaluation.continuations.metric import GenerationMetric, Spoken, default_metrics
from orality.evaluation.continuations.observe import observe
from orality.evaluation.continuations.sample import (
    EvaluationPrompt,
    SamplingSetup,
    continue_prompts,
)
from orality.evaluation.continuations.summarize import summarize
from orality.evaluation.journal import Journal
from orality.evaluation.likelihood.accuracy import (
    Normalize,
    PairOutcome,
    accuracies,
    outcomes,
    score_pairs,
)
from orality.evaluation.likelihood.encoded import Encoded
from orality.evaluation.results import Item
from orality.progress import Progress
from orality.protocols import SpeechLM

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Measuring:
    """`model` is called only if something is left to do; `fingerprint` names its weights."""

    name: str
    out: Path
    model: Callable[[], SpeechLM]
    fingerprint: str | None
    seed: int
    progress: Progress
    measured: list[Measured] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)

    def likelihood(
        self,
        column: str,
        kind: str,
        pairs: Sequence[BenchmarkPair],
        encoded: Mapping[Path, Encoded],
        settings: Mapping[str, Any],
        normalize: Normalize,
    ) -> None:
        """Score a benchmark's pairs; `settings` are what the likelihoods depend on."""
        convention = settings["convention"]
        stem = slug(column) + ("" if convention == "no_bos" else f"-{convention}")
        journal = Journal(
            self.out / self.name / f"{stem}.jsonl", {"system": self.fingerprint, **settings}
        )
        stage = f"{self.name}: {column}"
        rows = score_pairs(
            pairs,
            encoded,
            self.model,
            journal,
            convention=convention,
            progress=self.progress,
            stage=stage,
        )
        results = outcomes(pairs, rows, normalize)
        metric = metric_id(column, normalize, convention)
        try:
            found = accuracies(results, kind)
        except EvaluationError as error:
            raise EvaluationError(f"{stage}: {error}") from error
        self.measured += [
            measure_accuracy(self.name, metric, column, group, value, seed=self.seed)
            for group, value in found.items()
        ]
        self.items += [_item(self.name, metric, result) for result in results]

    def generation(
        self,
        prompts: Sequence[EvaluationPrompt],
        setup: SamplingSetup,
        metrics: Sequence[GenerationMetric] | None = None,
    ) -> Spoken:
        """Continue and judge prompts, and measure what came of it; the default are Table 1's.

        A metric without any value has no figure, which a warning says.
        """
        samples = continue_prompts(
            self.model,
            prompts,
            setup,
            out=self.out,
            system=self.name,
            settings={"system": self.fingerprint},
            progress=self.progress,
        )
        spoken = Spoken(samples, {prompt.id: prompt for prompt in prompts}, self.out)
        if metrics is None:
            metrics = default_metrics(setup.names)
        for metric in metrics:
            mine = observe(metric, spoken, self.name, self.fingerprint)
            found = summarize(mine, metric.summary, seed=self.seed)
            if found is not None:
                self.measured.append(found)
            else:
                logger.warning("%s: no sample has a value of %s", self.name, metric.id)
            if found is not None or not metric.optional:
                self.items += mine
        return spoken


def metric_id(column: str, normalize: str, convention: str) -> str:
    """The id of a likelihood benchmark's accuracy: `swuggy/mean`, `swuggy/sum/bos_eos`."""
    variant = "" if convention == "no_bos" else f"/{convention}"
    return f"{slug(column)}/{normalize}{variant}"


def slug(column: str) -> str:
    """A benchmark's name as a part of file names and metric ids."""
    return re.sub(r"[^\w.+-]+", "-", column.lower()).strip("-.")


def _item(system: str, metric: str, result: PairOutcome) -> Item:
    details: dict[str, Any] = {"group": result.pair.group}
    if result.value is None:
        details["error"] = result.error
    else:
        for side, score in (("positive", result.positive), ("negative", result.negative)):
            details[side] = score if score is not None and math.isfinite(score) else None
    return Item(result.pair.id, system, metric, result.value, result.pair.cluster, details)

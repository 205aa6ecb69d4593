"""Metrics of generated continuations: repetition, the judge's score, perplexity, silence."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orality.evaluation.results import Item
from orality.feedback.auto_bleu import auto_bleu

Record = Mapping[str, Any]
PERPLEXITY = "ppl"


@dataclass(frozen=True, slots=True)
class GenerationMetrics:
    """Ids of the metrics of one evaluation: each carries the models it was measured with.

    `transcriber` is None where the judge reads no text; repetition is then counted on units.
    """

    judge: str
    transcriber: str | None

    @property
    def score(self) -> str:
        """Mean score of the judge; abstentions are counted as failed, not averaged."""
        return "/".join(["judge", self.judge, *([self.transcriber] if self.transcriber else [])])

    @property
    def repetition(self) -> str:
        """Mean auto-BLEU in Align-SLM's definition, in [0, 1]; an empty text has 0."""
        return "auto-bleu/align-slm" + ("" if self.transcriber else "/units")

    @property
    def perplexity(self) -> str:
        """exp(mean over utterances of their mean NLL per token, given the true prompt text)."""
        return f"{PERPLEXITY}/{self.judge}/cond/exp-mean"

    @property
    def empty(self) -> str:
        """Share of continuations in which nothing was said."""
        return f"empty/{self.transcriber or 'units'}"

    @property
    def all(self) -> tuple[str, ...]:
        """In the order of Align-SLM's Table 1."""
        return (self.score, self.repetition, self.perplexity, self.empty)


def generation_items(
    system: str, samples: Sequence[Record], names: GenerationMetrics
) -> list[Item]:
    """Items of all four metrics; the samples of a prompt form a cluster.

    `samples`: records with id, prompt_id, units, text (None where nothing transcribes), score,
    perplexity, rationale. A perplexity that is missing or not a positive finite number fails.
    """
    items = []
    for row in samples:
        text = row["text"]
        said = text if text is not None else row["units"]
        perplexity = row["perplexity"]
        if perplexity is not None and not (math.isfinite(perplexity) and perplexity > 0):
            perplexity = None
        values = {
            names.score: row["score"],
            names.repetition: auto_bleu(said),
            names.perplexity: perplexity,
            names.empty: float(len(said if text is None else text.split()) == 0),
        }
        for metric, value in values.items():
            details: dict[str, Any] = {}
            if value is None:
                details["error"] = row["rationale"] or "the judge gave no value"
            items.append(Item(row["id"], system, metric, value, row["prompt_id"], details))
    return items


def perplexity_of(metrics: str) -> float | None:
    """The perplexity among a verdict's measurements (JSON), None if the judge has none."""
    value = json.loads(metrics).get("perplexity")
    return None if value is None else float(value)

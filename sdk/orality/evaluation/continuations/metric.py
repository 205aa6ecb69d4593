"""What a metric of generated continuations is, and those that need nothing but stored records."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from orality.evaluation.metrics.gslm import UTTERANCES, gslm_auto_bleu, self_bleus
from orality.evaluation.metrics.perplexities import Aggregation, safe_exp
from orality.evaluation.metrics.repetition import Variant, auto_bleu

if TYPE_CHECKING:
    from orality.evaluation.continuations.sample import EvaluationPrompt
    from orality.feedback import ConfiguredJudge

Record = Mapping[str, Any]
PERPLEXITY = "ppl"
Summary = Literal[
    "mean", "token-mean", "exp-mean", "mean-exp", "median-exp", "vert", "pearson", "std"
]


@dataclass(frozen=True, slots=True)
class Observation:
    """A metric of one sample; without a value, `details` say under `error` why."""

    value: float | None
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def failed(cls, reason: str) -> Observation:
        """No value, because of `reason`."""
        return cls(None, {"error": reason})


@dataclass(frozen=True, slots=True)
class Spoken:
    """One system's stored samples: records with id, prompt_id, units, text (None where nothing
    transcribes), audio (relative to `folder`, None without a vocoder), score, perplexity, rationale
    and metrics; and the prompts that they continue, by id."""

    samples: Sequence[Record]
    prompts: Mapping[str, EvaluationPrompt]
    folder: Path

    def said(self, record: Record) -> str | list[int]:
        """What a sample says: its text, or its units where nothing transcribes."""
        text = record["text"]
        return list(record["units"]) if text is None else str(text)


@dataclass(frozen=True, slots=True)
class GenerationMetric:
    """A metric of continuations: `measure` gives one observation per sample, in order.

    `id`: with variant and models; the first part says what kind of metric it is. `summary`: how
    observations become a system's figure. `stored`: observations are kept per sample, so that a
    later evaluation need not make them again; with other `settings` those are refused. `optional`:
    where no sample has a value, it is left out instead of counted as failed.
    """

    id: str
    measure: Callable[[Spoken], Sequence[Observation]]
    summary: Summary = "mean"
    stored: bool = False
    optional: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Names:
    """The models continuations were judged with; `transcriber` is None where none was needed.

    `further`: judges beside the one that judged while samples were made, by label.
    """

    judge: str
    transcriber: str | None
    further: Mapping[str, ConfiguredJudge] = field(default_factory=dict)

    @property
    def heard_by(self) -> str:
        """The part of an id that says what was counted: whose words, or units."""
        return self.transcriber or "units"


def judge_score(names: Names) -> GenerationMetric:
    """Mean score of the judge; abstentions are counted as failed, not averaged."""

    def measure(spoken: Spoken) -> list[Observation]:
        return [
            Observation(row["score"]) if row["score"] is not None else _silent_judge(row)
            for row in spoken.samples
        ]

    return GenerationMetric(
        "/".join(filter(None, ("judge", names.judge, names.transcriber))), measure
    )


def repetition(names: Names, variant: Variant = "align-slm") -> GenerationMetric:
    """Mean auto-BLEU in one of its definitions, in [0, 1]; an empty text has 0."""

    def measure(spoken: Spoken) -> list[Observation]:
        return [Observation(auto_bleu(spoken.said(row), variant=variant)) for row in spoken.samples]

    return GenerationMetric(f"auto-bleu/{variant}/{names.heard_by}", measure)


def judged_perplexity(names: Names, aggregation: Aggregation = "exp-mean") -> GenerationMetric:
    """The perplexity that the judge measured, given the true prompt text.

    One that is missing or not a positive finite number fails; so does one without a number of
    tokens where tokens are averaged.
    """

    def measure(spoken: Spoken) -> list[Observation]:
        return [_perplexity(row, aggregation) for row in spoken.samples]

    name = f"{PERPLEXITY}/{names.judge}/{names.heard_by}/cond/{aggregation}"
    return GenerationMetric(name, measure, aggregation, optional=aggregation == "exp-mean")


def emptiness(names: Names) -> GenerationMetric:
    """Share of continuations in which nothing was said."""

    def measure(spoken: Spoken) -> list[Observation]:
        said = [spoken.said(row) for row in spoken.samples]
        return [
            Observation(float(len(what.split() if isinstance(what, str) else what) == 0))
            for what in said
        ]

    return GenerationMetric(f"empty/{names.heard_by}", measure)


def resemblance(names: Names, limit: int | None = UTTERANCES) -> GenerationMetric:
    """GSLM's self-BLEU2, geometric, of the first `limit` samples; the rest fails by that name."""

    def measure(spoken: Spoken) -> list[Observation]:
        said = [spoken.said(row) for row in spoken.samples]
        return _limited([Observation(value) for value in self_bleus(said[:limit])], len(said))

    return GenerationMetric(f"self-bleu/bleu2-geometric/{_upto(limit)}/{names.heard_by}", measure)


def diversity(names: Names, limit: int | None = UTTERANCES) -> GenerationMetric:
    """GSLM's VERT of the first `limit` samples: sqrt(mean self-BLEU2 x mean auto-BLEU2)."""

    def measure(spoken: Spoken) -> list[Observation]:
        said = [spoken.said(row) for row in spoken.samples][:limit]
        within = [gslm_auto_bleu(what, 2, "geometric") for what in said]
        found = [
            Observation(math.sqrt(a * b), {"self_bleu": a, "auto_bleu": b})
            for a, b in zip(self_bleus(said), within, strict=True)
        ]
        return _limited(found, len(spoken.samples))

    name = f"vert/bleu2-geometric/{_upto(limit)}/{names.heard_by}"
    return GenerationMetric(name, measure, "vert")


def default_metrics(names: Names) -> list[GenerationMetric]:
    """In the order of Align-SLM's Table 1."""
    return [judge_score(names), repetition(names), judged_perplexity(names), emptiness(names)]


def perplexity_of(metrics: str) -> float | None:
    """The perplexity among a verdict's measurements (JSON), None if the judge has none."""
    value = json.loads(metrics).get("perplexity")
    return None if value is None else float(value)


def of_tokens(nll: float, tokens: float) -> Observation:
    """The perplexity of a text from its negative log-likelihood in nats and its tokens."""
    return Observation(safe_exp(nll / tokens), {"nll": nll, "tokens": tokens})


def _perplexity(row: Record, aggregation: Aggregation) -> Observation:
    value = row["perplexity"]
    if value is None or not (math.isfinite(value) and value > 0):
        return _silent_judge(row)
    if aggregation != "token-mean":
        return Observation(value)
    tokens = json.loads(row["metrics"] or "{}").get("tokens")
    if not tokens:
        return Observation.failed("the judge does not say how many tokens it read")
    return of_tokens(math.log(value) * tokens, tokens)


def _silent_judge(row: Record) -> Observation:
    return Observation.failed(row["rationale"] or "the judge gave no value")


def _upto(limit: int | None) -> str:
    return "all" if limit is None else f"first-{limit}"


def _limited(found: list[Observation], count: int) -> list[Observation]:
    beyond = Observation.failed(f"beyond the first {len(found)} samples")
    return found + [beyond] * (count - len(found))

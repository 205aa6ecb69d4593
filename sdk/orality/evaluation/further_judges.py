"""What judges beside the evaluation's own make of continuations that are stored already."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from orality.audio import read_audio
from orality.errors import EvaluationError
from orality.evaluation.generation import GenerationMetric, Observation, Record, Spoken
from orality.protocols import Judge
from orality.types import JudgeRequest, Units

_BATCH = 20


@dataclass(frozen=True, slots=True)
class FurtherJudge:
    """A judge that is built once there is something to judge; `name`: of the component.

    `reads` and `scale` are what its spec says. `settings`: what its stored verdicts depend on.
    """

    name: str
    build: Callable[[], Judge]
    reads: frozenset[str] = frozenset({"text"})
    scale: tuple[float, float] = (-math.inf, math.inf)
    settings: Mapping[str, Any] = field(default_factory=dict)


def further_score(
    label: str, judge: FurtherJudge, transcriber: str | None, metric: str | None = None
) -> GenerationMetric:
    """Mean score of the judge called `label`, or of one of its verdicts' metrics by name.

    Abstentions, and verdicts without that metric, are counted as failed. Raises EvaluationError,
    when measured, for scores outside the judge's scale or not one each.
    """

    def measure(spoken: Spoken) -> list[Observation]:
        built, found = judge.build(), []
        for start in range(0, len(spoken.samples), _BATCH):
            batch = spoken.samples[start : start + _BATCH]
            verdicts = built.score([_request(row, spoken, judge.reads) for row in batch])
            if len(verdicts) != len(batch):
                raise EvaluationError(
                    f"judge {label!r} gave {len(verdicts)} verdicts for {len(batch)} requests"
                )
            for verdict in verdicts:
                score, (low, high) = verdict.score, judge.scale
                if score is None:
                    found.append(Observation.failed(verdict.rationale or "the judge abstained"))
                    continue
                if not low <= score <= high:
                    raise EvaluationError(
                        f"judge {label!r} gave the score {score}, outside {low:g} to {high:g}"
                    )
                value = score if metric is None else verdict.metrics.get(metric)
                if value is None:
                    found.append(Observation.failed(f"the verdict has no metric {metric!r}"))
                else:
                    found.append(Observation(value, {"rationale": verdict.rationale}))
        return found

    heard = transcriber if "text" in judge.reads else None
    kind = "judge" if metric is None else "verdict"
    name = "/".join(filter(None, (kind, f"{judge.name}:{label}", metric, heard)))
    return GenerationMetric(name, measure, stored=True, settings=judge.settings)


def _request(row: Record, spoken: Spoken, reads: frozenset[str]) -> JudgeRequest:
    prompt, audio = spoken.prompts[row["prompt_id"]], row["audio"]
    listens = "audio" in reads
    return JudgeRequest(
        id=row["id"],
        language=prompt.language,
        prompt_text=prompt.text,
        continuation_text=row["text"],
        prompt_audio=read_audio(prompt.audio) if listens and prompt.audio else None,
        continuation_audio=read_audio(spoken.folder / audio) if listens and audio else None,
        prompt_units=prompt.units,
        continuation_units=Units(np.asarray(row["units"], dtype=np.int64)),
    )

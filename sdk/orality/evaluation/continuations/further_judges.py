"""The scores that further judges give to stored continuations."""

from __future__ import annotations

from collections.abc import Sequence

from orality.evaluation.continuations.metric import GenerationMetric, Observation, Record, Spoken
from orality.feedback import ConfiguredJudge
from orality.feedback.stages import judge_requests
from orality.types import JudgeRequest, Verdict


def further_score(
    label: str, judge: ConfiguredJudge, transcriber: str | None, metric: str | None = None
) -> GenerationMetric:
    """Mean score of the judge called `label`, or of one of its verdicts' metrics by name.

    Abstentions, and verdicts without that metric, are counted as failed. Raises JudgeError, when
    measured, for scores outside the judge's scale or not one each.
    """

    def measure(spoken: Spoken) -> list[Observation]:
        found: list[Observation] = []
        for start in range(0, len(spoken.samples), judge.batch):
            batch = spoken.samples[start : start + judge.batch]
            found += [_observation(verdict, metric) for verdict in judge.score(_ask(batch, spoken))]
        return found

    def _ask(batch: Sequence[Record], spoken: Spoken) -> list[JudgeRequest]:
        rows = {row["id"]: row for row in batch}
        prompts = {name: prompt.record for name, prompt in spoken.prompts.items()}
        return judge_requests(judge.reads, batch, prompts, rows, rows, spoken.folder)

    heard = transcriber if "text" in judge.reads else None
    kind = "judge" if metric is None else "verdict"
    name = "/".join(filter(None, (kind, f"{judge.name}:{label}", metric, heard)))
    return GenerationMetric(name, measure, stored=True, settings=judge.settings)


def _observation(verdict: Verdict, metric: str | None) -> Observation:
    if verdict.score is None:
        return Observation.failed(verdict.rationale or "the judge abstained")
    value = verdict.score if metric is None else verdict.measured.get(metric)
    if value is None:
        return Observation.failed(f"the verdict has no metric {metric!r}")
    return Observation(value, {"rationale": verdict.rationale})

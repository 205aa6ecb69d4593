"""A metric's observations of one system's samples, those that took long kept for the next time."""

from __future__ import annotations

import hashlib
import json
import math
import re

from orality.errors import EvaluationError
from orality.evaluation.continuations.metric import GenerationMetric, Observation, Record, Spoken
from orality.evaluation.journal import Journal
from orality.evaluation.results import Item


def observe(
    metric: GenerationMetric, spoken: Spoken, system: str, fingerprint: str | None
) -> list[Item]:
    """One item per sample, in order; the samples of a prompt form a cluster.

    Stored observations lie in `<system>/metrics/<id>.jsonl` and count while what was said is the
    same; those without a value are made again. A value that is no finite number fails. Raises
    EvaluationError where the metric's observations are not one per sample.
    """
    known: dict[str, Observation] = {}
    journal = None
    if metric.stored:
        name = re.sub(r"[^\w.+-]+", "-", metric.id) + ".jsonl"
        settings = {"system": fingerprint, "metric": metric.id, **metric.settings}
        journal = Journal(spoken.folder / system / "metrics" / name, settings)
        for row in spoken.samples:
            kept = journal.rows.get(row["id"])
            if kept is not None and kept["of"] == _digest(row):
                known[row["id"]] = Observation(kept["value"], kept["details"])
    rest = [row for row in spoken.samples if row["id"] not in known]
    if rest:
        found = metric.measure(Spoken(rest, spoken.prompts, spoken.folder))
        if len(found) != len(rest):
            raise EvaluationError(
                f"{metric.id} gave {len(found)} observations of {len(rest)} samples"
            )
        made = {row["id"]: _finite(seen) for row, seen in zip(rest, found, strict=True)}
        known |= made
        if journal is not None:
            journal.append(
                {
                    "id": row["id"],
                    "of": _digest(row),
                    "value": made[row["id"]].value,
                    "details": dict(made[row["id"]].details),
                }
                for row in rest
                if made[row["id"]].value is not None
            )
    return [
        Item(
            row["id"],
            system,
            metric.id,
            known[row["id"]].value,
            row["prompt_id"],
            dict(known[row["id"]].details),
        )
        for row in spoken.samples
    ]


def _finite(seen: Observation) -> Observation:
    if seen.value is None or math.isfinite(seen.value):
        return seen
    return Observation.failed(f"the value {seen.value} is no finite number")


def _digest(row: Record) -> str:
    said = [row["prompt_id"], list(row["units"]), row["text"], row["audio"]]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()

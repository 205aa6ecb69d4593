"""What the curriculum does to every figure: its value and interval before and after each round."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orality.evaluation.results import Results
from orality.evaluation.statistics.intervals import (
    accuracy_interval,
    bootstrap_interval,
    cluster_means,
)
from orality.evaluation.tables.tables import columns
from orality.report.data.run_data import Continuation, RunData, Stage

_ROUND = re.compile(r"(?:^|[ ,])round-(\d+)/")


@dataclass(frozen=True, slots=True)
class Step:
    """A figure at one point of the curriculum; the ends are None where there is no interval."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Track:
    """One figure over the curriculum, in the order of its steps."""

    title: str
    steps: Sequence[Step]
    digits: int = 2


def curriculum_systems(results: Results | None) -> dict[str, int]:
    """The systems of the curriculum, in order: the pre-trained one and one after each round.

    By name, how many rounds it has behind it; what its adapters are called tells.
    """
    if results is None:
        return {}
    baseline = str(results.settings.get("baseline", ""))
    places = {}
    for system in results.systems:
        rounds = [int(number) for number in _ROUND.findall(system.adapter or "")]
        if rounds or system.name == baseline:
            places[system.name] = max(rounds, default=0)
    return dict(sorted(places.items(), key=lambda item: item[1]))


def measured_tracks(results: Results | None) -> list[Track]:
    """Every metric of the pre-trained model and after each round; none without a round."""
    places = curriculum_systems(results)
    tracks = []
    for column in columns(results) if results else []:
        steps = []
        for name, place in places.items():
            found = results.find(name, column.metric, column.group) if results else None
            if found is not None:
                ends = (found.ci.low, found.ci.high) if found.ci else (None, None)
                low, high = (None if end is None else end * column.scale for end in ends)
                label = f"round {place}" if place else name
                steps.append(Step(label, found.value * column.scale, low, high))
        if len(steps) > 1:
            unit = " (%)" if column.scale == 100 else ""
            tracks.append(Track(f"{column.label}{unit} {column.arrow}", steps, column.digits))
    return tracks


def feedback_tracks(rounds: Sequence[Stage]) -> list[Track]:
    """What the samples of each round were like, and how many prompts gave a pair of them.

    None before the second round.
    """
    tracks = [
        Track("Score of the samples ↑", _means(rounds, lambda item: item.score)),
        Track("Auto-BLEU of the samples (%) ↓", _means(rounds, _percent_repeated), digits=1),
        Track("Prompts that gave a pair (%)", _yields(rounds), digits=1),
    ]
    return [track for track in tracks if len(track.steps) > 1]


def tracks_of(run: RunData) -> list[Track]:
    """All tracks of a run, the measured ones first."""
    return [*measured_tracks(run.results), *feedback_tracks(run.rounds)]


def _percent_repeated(item: Continuation) -> float | None:
    return None if item.auto_bleu is None else 100 * item.auto_bleu


def _means(rounds: Sequence[Stage], value: Callable[[Continuation], float | None]) -> list[Step]:
    steps = []
    for stage in rounds:
        known = [
            (found, item.prompt_id)
            for item in stage.continuations
            if (found := value(item)) is not None
        ]
        if not known:
            continue
        values, clusters = zip(*known, strict=True)
        means = list(cluster_means(values, clusters).values())
        ci = bootstrap_interval(means)
        ends = (None, None) if ci is None else (ci.low, ci.high)
        steps.append(Step(stage.title.lower(), sum(means) / len(means), *ends))
    return steps


def _yields(rounds: Sequence[Stage]) -> list[Step]:
    steps = []
    for stage in rounds:
        prompts = len({item.prompt_id for item in stage.continuations})
        pairs = sum(stage.pairs.values())
        if not pairs or pairs > prompts:
            continue
        ci = accuracy_interval([1.0] * pairs + [0.0] * (prompts - pairs))
        ends = (None, None) if ci is None else (100 * ci.low, 100 * ci.high)
        steps.append(Step(stage.title.lower(), 100 * pairs / prompts, *ends))
    return steps

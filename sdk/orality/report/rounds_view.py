"""A round as a page shows it: what it yielded, how scores fell, how training went."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from orality.report.figures import Curve, Figure, Line, bins, counted, curves, histogram
from orality.report.run_data import Continuation, Record, Stage

SIDES = {"rejected": "may be rejected", "neither": "neither", "chosen": "may be chosen"}
_PANELS = (
    ("Loss", "loss", None, None, ""),
    ("Reward accuracy", "reward_accuracy", (0.0, 1.05), 0.5, "Dashed: chance."),
    ("Reward margin", "reward_margin", None, 0.0, "Dashed: chosen and rejected rewarded alike."),
)
_REPETITION = bins(0.0, 1.0, 0.05)


@dataclass(frozen=True, slots=True)
class RoundView:
    """A round's or a baseline's section. `facts`: (figure, what it counts, remark)."""

    name: str
    title: str
    rule: str
    status: str
    facts: Sequence[tuple[str, str, str]]
    figures: Sequence[Figure]
    training: Sequence[Figure]


@dataclass(frozen=True, slots=True)
class Frame:
    """Axes that the rounds share, so that their histograms compare at a glance."""

    scores: Sequence[float]
    tallest_score: int
    tallest_repetition: int


def shared_frame(rounds: Sequence[Stage]) -> Frame | None:
    """Bins of a quarter point (whole points where every score is one); None without scores."""
    scores = [c.score for stage in rounds for c in stage.continuations if c.score is not None]
    if not scores:
        return None
    marks = [
        mark
        for stage in rounds
        for mark in (stage.thresholds.rejected, stage.thresholds.chosen)
        if mark is not None
    ]
    low, high = math.floor(min([*scores, *marks])), math.ceil(max([*scores, *marks]))
    if all(float(score).is_integer() for score in scores):
        edges = bins(low - 0.5, high + 0.5, 1.0)
    else:
        edges = bins(low, max(high, low + 1), max((high - low) / 16, 1 / 16))
    heights = [max(_heights([c.score for c in stage.continuations], edges)) for stage in rounds]
    repeats = [
        max(_heights([c.auto_bleu for c in stage.continuations], _REPETITION)) for stage in rounds
    ]
    return Frame(edges, max(heights), max(repeats))


def round_view(stage: Stage, frame: Frame | None, prompts: int) -> RoundView:
    """Arrange one round; `prompts`: how many it was to continue."""
    items = stage.continuations
    figures = []
    if frame is not None and any(item.score is not None for item in items):
        figures.append(_scores(stage, frame))
    if frame is not None and any(item.auto_bleu is not None for item in items):
        figures.append(_repetition(stage, frame))
    return RoundView(
        name=stage.name,
        title=stage.title,
        rule=_rule(stage),
        status=_status(stage, prompts),
        facts=_facts(stage, prompts),
        figures=figures,
        training=training_figures(stage.metrics),
    )


def training_figures(metrics: Sequence[Record]) -> list[Figure]:
    """Curves of the quantities that the log has; others are left out."""
    found = []
    for title, key, limits, level, note in _PANELS:
        lines = [
            Curve("training step", "train", _points(metrics, key)),
            Curve("dev pairs", "dev", _points(metrics, f"dev_{key}")),
        ]
        if any(line.points for line in lines):
            found.append(curves(title, lines, limits=limits, level=level, note=note))
    return found


def _points(metrics: Sequence[Record], key: str) -> list[tuple[float, float]]:
    return [
        (row["step"], float(row[key]))
        for row in metrics
        if isinstance(row.get(key), int | float) and math.isfinite(row[key])
    ]


def _heights(values: Sequence[float | None], edges: Sequence[float]) -> list[int]:
    return counted([value for value in values if value is not None], edges)


def _sides(stage: Stage, values: Sequence[tuple[Continuation, float]]) -> dict[str, list[float]]:
    groups: dict[str, list[float]] = {side: [] for side in SIDES}
    for item, value in values:
        groups[stage.thresholds.side(item)].append(value)
    return groups


def _scores(stage: Stage, frame: Frame) -> Figure:
    judged = [(item, item.score) for item in stage.continuations if item.score is not None]
    limits = stage.thresholds
    lines = []
    if limits.rejected is not None:
        lines.append(Line(limits.rejected, f"s_r = {limits.rejected:g}", "end"))
    if limits.chosen is not None:
        lines.append(Line(limits.chosen, f"s_c = {limits.chosen:g}"))
    abstained = sum(item.score is None for item in stage.continuations)
    mean = sum(score for _, score in judged) / len(judged)
    note = f"Mean {mean:.2f} over {len(judged):,} verdicts"
    note += f"; {abstained:,} without a score." if abstained else "."
    return histogram(
        "Judge’s score", _sides(stage, judged), frame.scores, label="score", names=SIDES,
        lines=lines, tallest=frame.tallest_score, note=note,
    )  # fmt: skip


def _repetition(stage: Stage, frame: Frame) -> Figure:
    items = [(c, c.auto_bleu) for c in stage.continuations if c.auto_bleu is not None]
    delta = stage.thresholds.max_auto_bleu
    lines = [] if delta is None else [Line(delta, f"δ = {delta:g}")]
    above = sum(delta is not None and value > delta for _, value in items)
    note = "" if delta is None else f"{above / len(items):.1%} repeat themselves more than δ."
    return histogram(
        "Auto-BLEU", _sides(stage, items), _REPETITION, label="auto-BLEU", names=SIDES,
        lines=lines, tallest=frame.tallest_repetition, note=note.replace("%", " %"),
    )  # fmt: skip


def _rule(stage: Stage) -> str:
    limits = stage.thresholds
    if limits.chosen is None or limits.rejected is None:
        return ""
    if limits.max_auto_bleu is None:
        return f"Chosen: score at least {limits.chosen:g}. Rejected: at most {limits.rejected:g}."
    return (
        f"Chosen: score at least {limits.chosen:g} and auto-BLEU at most "
        f"{limits.max_auto_bleu:g}. Rejected: score at most {limits.rejected:g}, or auto-BLEU "
        "above that."
    )


def _status(stage: Stage, prompts: int) -> str:
    if stage.trained:
        return ""
    counts = stage.counts
    if not counts["continuations"] and not stage.pairs and not stage.metrics:
        return "Not started."
    if stage.metrics:
        return f"Not finished: training is at step {stage.metrics[-1]['step']:,}."
    if stage.pairs:
        return "Not finished: pairs are made, training has not begun."
    done = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    return f"Not finished: {done} so far, for {prompts:,} prompts."


def _facts(stage: Stage, prompts: int) -> list[tuple[str, str, str]]:
    items = stage.continuations
    facts = []
    if items:
        continued = len({item.prompt_id for item in items})
        remark = "" if continued == prompts else f"of {prompts:,}"
        facts.append((f"{continued:,}", "prompts", remark))
        facts.append((f"{len(items):,}", "continuations", ""))
    if stage.pairs:
        total = sum(stage.pairs.values())
        splits = ", ".join(f"{count:,} {split}" for split, count in stage.pairs.items())
        facts.append((f"{total:,}", "pairs", splits))
        if items:
            share = 100 * total / len({item.prompt_id for item in items})
            facts.append((f"{share:.0f} %", "of prompts gave a pair", ""))
    written = [item.text for item in items if item.text is not None]
    if written:
        empty = 100 * sum(not text.strip() for text in written) / len(written)
        facts.append((f"{empty:.1f} %", "empty speech", "nothing transcribed"))
    return facts

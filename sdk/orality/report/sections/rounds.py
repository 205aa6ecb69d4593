"""A round as a page shows it: what it yielded, how scores fell, how training went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orality.report.data.run_data import Continuation, Record, Stage
from orality.report.figures.distributions import SIDES, score_lines
from orality.report.figures.draw import Curve, Figure, Line, curves, histogram
from orality.report.figures.scale import REPETITION, Frame
from orality.report.figures.trainings import QUANTITIES, Training
from orality.report.sections.examples import Extremes
from orality.report.sections.yield_table import RoundYield


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
    yields: Sequence[RoundYield] = ()
    examples: Extremes | None = None


def round_view(
    stage: Stage,
    frame: Frame | None,
    prompts: int,
    truth: Sequence[float] = (),
    yields: Sequence[RoundYield] = (),
    examples: Extremes | None = None,
) -> RoundView:
    """Arrange one round; `prompts`: how many it was to continue, `truth`: the recordings' own
    auto-BLEU."""
    items = stage.continuations
    figures = []
    if frame is not None and any(item.score is not None for item in items):
        figures.append(_scores(stage, frame))
    if frame is not None and any(item.auto_bleu is not None for item in items):
        figures.append(_repetition(stage, frame, truth))
    return RoundView(
        name=stage.name,
        title=stage.title,
        rule=_rule(stage),
        status=_status(stage, prompts),
        facts=_facts(stage, prompts),
        figures=figures,
        training=training_figures(stage.metrics),
        yields=yields,
        examples=examples,
    )


def training_figures(metrics: Sequence[Record]) -> list[Figure]:
    """Curves of the quantities that the log has; others are left out."""
    training = Training("", metrics)
    found = []
    for quantity in QUANTITIES:
        lines = [
            Curve("training step", "train", training.points(quantity.key)),
            Curve("dev pairs", "dev", training.points(f"dev_{quantity.key}")),
        ]
        if any(line.points for line in lines):
            found.append(
                curves(
                    quantity.title, lines, limits=quantity.limits, level=quantity.level,
                    note=quantity.note,
                )
            )  # fmt: skip
    return found


def _sides(stage: Stage, values: Sequence[tuple[Continuation, float]]) -> dict[str, list[float]]:
    groups: dict[str, list[float]] = {side: [] for side in SIDES}
    for item, value in values:
        groups[stage.thresholds.side(item)].append(value)
    return groups


def _scores(stage: Stage, frame: Frame) -> Figure:
    judged = [(item, item.score) for item in stage.continuations if item.score is not None]
    abstained = sum(item.score is None for item in stage.continuations)
    mean = sum(score for _, score in judged) / len(judged)
    note = f"Mean {mean:.2f} over {len(judged):,} verdicts"
    note += f"; {abstained:,} without a score." if abstained else "."
    return histogram(
        "Judge’s score", _sides(stage, judged), frame.scores, label="score", names=SIDES,
        lines=score_lines(stage.thresholds), tallest=frame.tallest_score, note=note,
    )  # fmt: skip


def _repetition(stage: Stage, frame: Frame, truth: Sequence[float]) -> Figure:
    items = [(c, c.auto_bleu) for c in stage.continuations if c.auto_bleu is not None]
    delta = stage.thresholds.max_auto_bleu
    lines = [] if delta is None else [Line(delta, f"δ = {delta:g}")]
    above = sum(delta is not None and value > delta for _, value in items)
    note = ""
    if delta is not None:
        note = f"{above / len(items):.1%} repeat themselves more than δ"
        if truth:
            over = sum(value > delta for value in truth) / len(truth)
            note += f"; of the recordings’ own continuations {over:.1%} do"
        note = f"{note}.".replace("%", " %")
    return histogram(
        "Auto-BLEU", _sides(stage, items), REPETITION, label="auto-BLEU", names=SIDES,
        lines=lines, tallest=frame.tallest_repetition, note=note,
        outline=("recordings, as shares", truth) if truth else None,
    )  # fmt: skip


def _rule(stage: Stage) -> str:
    limits = stage.thresholds
    if limits.chosen is None or limits.rejected is None:
        return ""
    chosen, rejected = f"{limits.chosen:.3g}", f"{limits.rejected:.3g}"
    if limits.max_auto_bleu is None:
        said = f"Chosen: score at least {chosen}. Rejected: at most {rejected}."
    else:
        said = (
            f"Chosen: score at least {chosen} and auto-BLEU at most {limits.max_auto_bleu:.3g}. "
            f"Rejected: score at most {rejected}, or auto-BLEU above that."
        )
    if limits.min_gap:
        said += f" The chosen side scores higher by {limits.min_gap:.2f} at least."
    if limits.pairs_per_prompt > 1:
        said += f" Up to {limits.pairs_per_prompt} pairs of a prompt, the widest gaps first."
    return said + (f" Read off this round’s scores ({limits.rule})." if limits.rule else "")


def _status(stage: Stage, prompts: int) -> str:
    if stage.trained:
        return " ".join(filter(None, (_adoption(stage.adoption), *map(_sentence, stage.warnings))))
    counts = stage.counts
    if not counts["continuations"] and not stage.pairs and not stage.metrics:
        return "Not started."
    if stage.metrics:
        return f"Not finished: training is at step {stage.metrics[-1]['step']:,}."
    if stage.pairs:
        return "Not finished: pairs are made, training has not begun."
    done = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    return f"Not finished: {done} so far, for {prompts:,} prompts."


def _adoption(note: Record | None) -> str:
    """What the dev prompts said about a round's policy."""
    if note is None:
        return ""
    kept = "Adopted" if note["adopted"] else "Not adopted: the policy stays the one before"
    interval = note["ci"]
    range_ = f", 95 % {interval['low']:+.2f} to {interval['high']:+.2f}" if interval else ""
    return (
        f"{kept}. On {note['prompts']:,} dev prompts the judge’s mean score was "
        f"{note['before']:.2f} before and {note['after']:.2f} after this round "
        f"({note['difference']:+.2f}{range_})."
    )


def _sentence(warning: str) -> str:
    return f"Warning: {warning}."


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
            share = 100 * stage.pairing / len({item.prompt_id for item in items})
            facts.append((f"{share:.0f} %", "of prompts gave a pair", ""))
    written = [item.text for item in items if item.text is not None]
    if written:
        empty = 100 * sum(not text.strip() for text in written) / len(written)
        facts.append((f"{empty:.1f} %", "empty speech", "nothing transcribed"))
    return facts

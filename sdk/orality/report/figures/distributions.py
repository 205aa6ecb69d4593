"""How scores and repetition are spread: counts in shared bins, by round and by system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orality.feedback.auto_bleu import auto_bleu
from orality.report.data.run_data import Continuation, RunData, Stage
from orality.report.figures.curriculum_tracks import curriculum_systems
from orality.report.figures.draw import Line, counted
from orality.report.figures.scale import REPETITION, Frame, score_edges, shared_frame
from orality.report.sections.thresholds import Thresholds

SIDES = {
    "rejected": "may be rejected",
    "either": "may be either",
    "neither": "neither",
    "chosen": "may be chosen",
}
TARGET = "recordings"  # how the true continuations are called in figures


@dataclass(frozen=True, slots=True)
class Panel:
    """One set of axes. `groups`: counts per bin of each kind; `lines`: thresholds."""

    title: str
    groups: Mapping[str, Sequence[int]]
    lines: Sequence[Line] = ()


@dataclass(frozen=True, slots=True)
class Histograms:
    """Panels that share their bins. `stacked`: the groups of a panel make up one whole; `trim`:
    bins that almost nothing reaches may be left out of a drawing."""

    label: str
    edges: Sequence[float]
    panels: Sequence[Panel]
    stacked: bool = False
    trim: bool = False


def round_scores(run: RunData) -> Histograms | None:
    """The judge's scores in every round, by what the thresholds allow; None without scores."""
    frame = shared_frame(run.rounds)
    if frame is None:
        return None
    panels = [
        Panel(_yielded(stage), side_counts(stage, frame), score_lines(stage.thresholds))
        for stage in run.rounds
        if any(item.score is not None for item in stage.continuations)
    ]
    return Histograms("judge’s score", frame.scores, panels, stacked=True)


def system_scores(run: RunData) -> Histograms | None:
    """The scores of every evaluated system on held-out prompts, as Align-SLM's figures 3 and 4."""
    groups = {name: _scores(items) for name, items in shown_systems(run).items()}
    known = [score for scores in groups.values() for score in scores]
    if not known:
        return None
    edges = score_edges(known, [])
    counts = {name: counted(scores, edges) for name, scores in groups.items() if scores}
    return Histograms("judge’s score", edges, [Panel("Held-out prompts", counts)])


def repetition(run: RunData) -> Histograms | None:
    """Auto-BLEU of the recordings' own continuations and of the model's (Align-SLM, figure 5)."""
    panels = []
    feedback = {stage.title.lower(): _repeats(stage.continuations) for stage in run.rounds}
    if any(map(len, feedback.values())):
        panels.append(_repetition_panel(run, "Prompts of the feedback", feedback))
    held_out = {name: _repeats(items) for name, items in shown_systems(run).items()}
    if any(map(len, held_out.values())):
        panels.append(_repetition_panel(run, "Held-out prompts", held_out))
    return Histograms("auto-BLEU", REPETITION, panels, trim=True) if panels else None


def shown_systems(run: RunData) -> dict[str, list[Continuation]]:
    """Held-out continuations of the systems that fit into one picture.

    Those of the curriculum, else all; of more than three the first and the last two.
    """
    spoken = run.spoken
    names = [name for name in curriculum_systems(run.results) if name in spoken] or list(spoken)
    if len(names) > 3:
        names = [names[0], *names[-2:]]
    return {name: spoken[name] for name in names}


def true_repetition(run: RunData, prompt_ids: set[str]) -> list[float]:
    """Auto-BLEU of how the recordings of some prompts really go on, where that is written."""
    return [
        auto_bleu(prompt.truth)
        for key, prompt in run.prompts.items()
        if key in prompt_ids and prompt.truth.strip()
    ]


def score_lines(limits: Thresholds) -> list[Line]:
    """s_r and s_c, where the recipe has them."""
    lines = []
    if limits.rejected is not None:
        lines.append(Line(limits.rejected, f"s_r = {limits.rejected:g}", "end"))
    if limits.chosen is not None:
        lines.append(Line(limits.chosen, f"s_c = {limits.chosen:g}"))
    return lines


def side_counts(stage: Stage, frame: Frame) -> dict[str, list[int]]:
    """Scores per bin, by what the round's thresholds allow."""
    values: dict[str, list[float]] = {side: [] for side in SIDES}
    for item in stage.continuations:
        if item.score is not None:
            values[stage.thresholds.side(item)].append(item.score)
    if not values["either"]:  # only thresholds that overlap allow both
        del values["either"]
    return {SIDES[side]: counted(found, frame.scores) for side, found in values.items()}


def _repetition_panel(run: RunData, title: str, models: Mapping[str, list[float]]) -> Panel:
    if title == "Held-out prompts":
        ids = {item.prompt_id for items in run.spoken.values() for item in items}
    else:
        ids = {item.prompt_id for stage in run.rounds for item in stage.continuations}
    truth = true_repetition(run, ids)
    groups = {TARGET: truth, **models} if truth else dict(models)
    deltas = {stage.thresholds.max_auto_bleu for stage in run.rounds} - {None}
    return Panel(
        title,
        {name: counted(values, REPETITION) for name, values in groups.items() if values},
        [Line(delta, f"δ = {delta:g}") for delta in sorted(filter(None, deltas))],
    )


def _yielded(stage: Stage) -> str:
    pairs = sum(stage.pairs.values())
    prompts = len({item.prompt_id for item in stage.continuations})
    if not pairs:
        return stage.title
    share = f"{stage.pairing:,} of {prompts:,} prompts ({100 * stage.pairing / prompts:.0f} %)"
    return f"{stage.title}: {pairs:,} pairs, from {share}"


def _scores(items: Sequence[Continuation]) -> list[float]:
    return [item.score for item in items if item.score is not None]


def _repeats(items: Sequence[Continuation]) -> list[float]:
    return [item.auto_bleu for item in items if item.auto_bleu is not None]

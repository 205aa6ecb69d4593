"""Golden beside synthetic speech on the page: the plane, and the table that one may rely on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from orality.report.figures import axes
from orality.report.figures.axes import Axis
from orality.report.figures.draw import Figure
from orality.report.speech_gap.golden_gap import Cloud, GoldenGap, auc_text

_SIDE = 240


@dataclass(frozen=True, slots=True)
class GoldenView:
    """The section's figures, rows of (system, AUC, interval, prompts), and how it was made."""

    figures: Sequence[Figure]
    rows: Sequence[tuple[str, str, str, str]]
    level: str
    folds: int
    kind: str
    settings: str


def golden_view(gap: GoldenGap) -> GoldenView:
    """Arrange a comparison; the panels share their coordinates."""
    first = gap.separations[0][1]
    return GoldenView(
        figures=[_figure(gap, cloud) for cloud in gap.clouds],
        rows=[
            (name, f"{apart.auc:.2f}", f"{apart.low:.2f} – {apart.high:.2f}", f"{apart.prompts:,}")
            for name, apart in gap.separations
        ],
        level=f"{100 * first.level:g} %",
        folds=first.folds,
        kind=gap.kind,
        settings=gap.settings,
    )


def _figure(gap: GoldenGap, cloud: Cloud) -> Figure:
    everything = np.concatenate([gap.golden, *(other.points for other in gap.clouds)])
    x = Axis(*axes.span(everything[:, 0].tolist(), pad=0.03), 1, axes.WIDTH - 1)
    y = Axis(*axes.span(everything[:, 1].tolist(), pad=0.03), _SIDE - 1, 1)
    parts = [
        Markup('<rect class="frame" x="0.5" y="0.5" width="{}" height="{}"/>').format(
            axes.WIDTH - 1, _SIDE - 1
        )
    ]
    for a, b in cloud.points.tolist():
        place = f"M{x(a) - 3:.1f} {y(b) + 2.5:.1f}h6l-3 -5.5z"
        parts.append(Markup('<path class="synthetic" d="{}"/>').format(place))
    for a, b in gap.golden.tolist():
        parts.append(Markup('<circle class="golden" cx="{}" cy="{}" r="3"/>').format(x(a), y(b)))
    points = [("recording", gap.golden), (cloud.system, cloud.points)]
    return Figure(
        title=cloud.system,
        drawing=axes.box(f"recordings and {cloud.system} in the plane", parts, height=_SIDE),
        head=["", "x", "y"],
        rows=[[name, f"{a:.2f}", f"{b:.2f}"] for name, some in points for a, b in some.tolist()],
        legend=[("golden", "recordings"), ("synthetic", cloud.system)],
        note="" if cloud.separation is None else f"{auc_text(cloud.separation)}.",
    )

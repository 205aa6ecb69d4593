"""Golden and synthetic speech in one plane, for print, with what a classifier makes of them."""

from __future__ import annotations

from pathlib import Path

from orality.report.paper import style
from orality.report.paper.table import Table
from orality.report.speech_gap.golden_gap import GoldenGap, auc_text


def write_clouds(folder: Path, name: str, gap: GoldenGap) -> list[Path]:
    """A panel for every drawn system, in the same coordinates; open rings are recordings."""
    count = len(gap.clouds)
    width = style.COLUMN if count == 1 else style.PAGE
    with style.canvas(
        1, count, width=width, height=0.85 + width / max(count, 2) * 0.8, sharex=True, sharey=True
    ) as (figure, grid):
        for axes, cloud in zip(grid, gap.clouds, strict=True):
            axes.scatter(
                gap.golden[:, 0], gap.golden[:, 1], s=11, facecolors="none",
                edgecolors="black", linewidths=0.6, label="recordings",
            )  # fmt: skip
            axes.scatter(
                cloud.points[:, 0], cloud.points[:, 1], s=8, marker="^", color=style.BLUE,
                alpha=0.75, linewidths=0, label="synthetic",
            )  # fmt: skip
            title = style.escaped(cloud.system)
            if cloud.separation is not None:
                title += f"\n{auc_text(cloud.separation)}"
            axes.set_title(title)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[["top", "right"]].set_visible(True)
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower left", ncols=2, handlelength=1, alignment="left",
            title=f"{gap.settings}; {gap.kind}", title_fontsize=7,
        )  # fmt: skip
        return style.save(figure, folder, name, _points(gap))


def separations_table(gap: GoldenGap) -> Table:
    """Every system's AUC with its interval."""
    return Table(
        ["system", "auc", "low", "high", "level", "prompts", "vectors", "folds"],
        [
            [name, apart.auc, apart.low, apart.high, apart.level, apart.prompts, apart.vectors,
             apart.folds]
            for name, apart in gap.separations
        ],
    )  # fmt: skip


def _points(gap: GoldenGap) -> Table:
    clouds = [("recordings", gap.golden), *((cloud.system, cloud.points) for cloud in gap.clouds)]
    return Table(
        ["system", "x", "y"],
        [[name, float(x), float(y)] for name, points in clouds for x, y in points],
    )

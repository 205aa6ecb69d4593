"""An analysis in writing: Markdown, a table in LaTeX, JSON, and the points behind a correlation."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from orality.evaluation.markdown import escape, markdown
from orality.evaluation.statistics.correlation import Correlation
from orality.evaluation.statistics.intervals import Interval
from orality.evaluation.tables.columns import SIGNIFICANT
from orality.evaluation.tables.grid import Block, Cell, Grid, Head, Mark, Row
from orality.evaluation.tables.latex import latex
from orality.listening.analysis import Analysis, Difference
from orality.store.files import atomic_write
from orality.untrusted.escaping import csv_cell


def write_summary(folder: Path, analysis: Analysis) -> list[Path]:
    """Write analysis.json, analysis.md, table.tex and judge_vs_human.csv; their paths."""
    data = json.dumps(asdict(analysis), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    texts = {
        "analysis.json": data,
        "analysis.md": describe(analysis),
        "table.tex": latex(score_grid(analysis) if analysis.scores else preference_grid(analysis)),
        "judge_vs_human.csv": _points(analysis),
    }
    for name, text in texts.items():
        atomic_write(folder / name, lambda file, text=text: file.write(text.encode()))  # type: ignore[misc]
    return [folder / name for name in texts]


def describe(analysis: Analysis) -> str:
    """The whole analysis as Markdown."""
    parts = [_excluded(analysis)]
    if analysis.scores:
        parts += [markdown(score_grid(analysis)), _differences(analysis.differences)]
        if analysis.alpha is not None:
            parts.append(
                f"Raters agree with Krippendorff's alpha (ordinal) = {analysis.alpha:.2f}.\n"
            )
    else:
        parts.append(markdown(preference_grid(analysis)))
    parts.append(_judge(analysis))
    return "\n".join(part for part in parts if part)


def score_grid(analysis: Analysis) -> Grid:
    """Mean opinion scores: CrowdMOS's interval, the naive one, and before outliers were left out.

    Bold: the best, where it differs from every other by the paired test after Holm's correction.
    """
    rows = []
    for name, score in analysis.scores.items():
        before = analysis.before[name]
        rows.append(
            Row(
                name,
                [
                    Cell(f"{score.mean:.2f}", _half(score.ci), mark=_mark(analysis, name)),
                    Cell(f"{score.mean:.2f}", _half(score.naive_ci)),
                    Cell(f"{before.mean:.2f}", _half(before.ci)),
                    *(Cell(str(count)) for count in (score.n, score.raters, score.items)),
                ],
            )
        )
    heads = [
        Head("MOS, CrowdMOS", "↑"), Head("MOS, naive"), Head("before outliers"), Head("ratings"),
        Head("raters"), Head("prompts"),
    ]  # fmt: skip
    caption = (
        f"Scale: {analysis.scale}. ± is half the 95 % interval: CrowdMOS's, in which raters and "
        "prompts differ, and the naive one, which takes all ratings for independent. Bold: the "
        f"best, where paired tests against all others have p < {SIGNIFICANT} after Holm's "
        "correction."
    )
    return Grid("System", heads, [Block("", rows)], _level(caption, analysis))


def preference_grid(analysis: Analysis) -> Grid:
    """Pairs of systems: votes, the share of the first, the prompts' majorities, the exact test."""
    rows = []
    for item in analysis.preferences:
        best = item.p_holm < SIGNIFICANT
        share = "–" if item.share is None else f"{100 * item.share:.1f} %"
        prompts = "–" if item.prompt_share is None else f"{100 * item.prompt_share:.1f} %"
        rows.append(
            Row(
                f"{item.a} over {item.b}",
                [
                    Cell(f"{item.wins} / {item.losses} / {item.ties}"),
                    Cell(f"{share}{_range(item.ci, 100)}"),
                    Cell(" / ".join(map(str, item.by_prompt))),
                    Cell(f"{prompts}{_range(item.prompt_ci, 100)}", mark="best" if best else ""),
                    Cell(_p(item.p_value)),
                    Cell(_p(item.p_holm)),
                ],
            )
        )
    heads = [
        Head("votes"), Head("share"), Head("prompts"), Head("share of prompts"), Head("p"),
        Head("p, Holm"),
    ]  # fmt: skip
    caption = (
        "Wins / losses / ties; shares without ties, in brackets their exact 95 % interval. A "
        "prompt goes to the system most of its raters prefer; the test (exact, two-sided) and bold "
        f"(p < {SIGNIFICANT} after Holm's correction) are of prompts, since votes on one prompt "
        "are not independent."
    )
    return Grid("Preference", heads, [Block("", rows)], _level(caption, analysis))


def _mark(analysis: Analysis, name: str) -> Mark:
    others = [d for d in analysis.differences if name in (d.a, d.b)]
    best = all(other.mean < analysis.scores[name].mean
               for key, other in analysis.scores.items() if key != name)  # fmt: skip
    clear = bool(others) and all(d.p_holm < SIGNIFICANT for d in others)
    return "best" if best and clear and len(others) == len(analysis.scores) - 1 else ""


def _level(caption: str, analysis: Analysis) -> str:
    intervals = [s.ci for s in analysis.scores.values()] + [p.ci for p in analysis.preferences]
    levels = {ci.level for ci in intervals if ci is not None}
    return caption.replace("95 %", f"{100 * max(levels, default=0.95):g} %")


def _excluded(analysis: Analysis) -> str:
    out = analysis.exclusions
    lines = [
        f"{out.raters} raters gave {out.answers} answers; {out.kept_answers} are counted.",
        f"- failed the attention checks: {len(out.failed_checks)}"
        + _named({name: str(count) for name, count in out.failed_checks.items()}),
    ]
    if analysis.kind == "mmos":
        lines.append(
            f"- outliers (correlation with the others too low): {len(out.outliers)}"
            + _named({name: f"{value:.2f}" for name, value in out.outliers.items()})
        )
    if out.repeated_answers:
        lines.append(f"- second answers to a trial, not counted: {out.repeated_answers}")
    return "\n".join(lines) + "\n"


def _named(values: dict[str, str]) -> str:
    listed = ", ".join(f"{escape(name)}: {value}" for name, value in values.items())
    return f" ({listed})" if values else ""


def _differences(items: Sequence[Difference]) -> str:
    rows = [
        Row(
            f"{item.a} − {item.b}",
            [
                Cell(f"{item.difference:+.2f}{_range(item.ci)}".replace("-", "−")),
                Cell(_p(item.p_value)),
                Cell(_p(item.p_holm)),
                Cell(str(item.n)),
            ],
        )
        for item in items
    ]
    heads = [Head("difference"), Head("p"), Head("p, Holm"), Head("prompts")]
    caption = "Paired by prompt: permutation test, interval from drawing prompts."
    return markdown(Grid("Systems", heads, [Block("", rows)], caption)) if rows else ""


def _judge(analysis: Analysis) -> str:
    found = analysis.judge
    if found is None:
        return f"No correlation with the judge: {analysis.no_judge}.\n"

    def line(name: str, plain: Correlation, drawn: Correlation) -> Row:
        cells = [f"{plain.r:.2f}", _range(plain.ci).strip(" ()"), _range(drawn.ci).strip(" ()")]
        return Row(name, [Cell(text or "–") for text in (*cells, _p(plain.p_value), str(plain.n))])

    rows = [
        line("Pearson", found.pearson, found.pearson_by_prompt),
        line("Spearman", found.spearman, found.spearman_by_prompt),
    ]
    heads = [Head("r"), Head("Fisher interval"), Head("by prompt"), Head("p"), Head("n")]
    what = "score" if analysis.kind == "mmos" else "difference of scores"
    caption = (
        f"The judge's {what} ({escape(analysis.judge_name or 'unnamed')}) against people's mean, "
        "one point per trial. The second interval draws whole prompts, whose continuations are not "
        "independent."
    )
    return markdown(Grid("Judge and people", heads, [Block("", rows)], caption))


def _points(analysis: Analysis) -> str:
    buffer = io.StringIO()
    names = ("trial", "prompt", "systems", "samples", "judge", "human", "ratings")
    writer = csv.DictWriter(buffer, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {name: csv_cell(value) for name, value in point.items()} for point in analysis.points
    )
    return buffer.getvalue()


def _half(interval: Interval | None) -> str:
    return "" if interval is None else f"{(interval.high - interval.low) / 2:.2f}"


def _range(interval: Interval | None, scale: float = 1.0) -> str:
    if interval is None or math.isnan(interval.low):
        return ""
    digits = 2 if scale == 1.0 else 1
    low, high = (f"{end * scale:.{digits}f}" for end in (interval.low, interval.high))
    return f" ({low} to {high})"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"

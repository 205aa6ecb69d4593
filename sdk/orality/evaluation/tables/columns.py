"""Which figures a table shows, what they are called, and which of them a test allows to mark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from orality.evaluation.aggregate import GENERATION
from orality.evaluation.results import Metric, Results, higher_is_better

SIGNIFICANT = 0.05
CONTINUATION = "Speech continuation"
_LABELS = {
    "judge": "Judge score", "auto-bleu": "Auto-BLEU", "auto-bleu2": "Auto-BLEU2",
    "self-bleu": "Self-BLEU", "self-bleu2": "Self-BLEU2", "vert": "VERT", "ppl": "PPL",
    "auc": "AUC", "wer": "WER", "cer": "CER", "mos": "MOS", "mmos": "MMOS", "dnsmos": "DNSMOS",
    "sim": "Speaker similarity", "stsp": "STSP", "abx": "ABX", "empty": "Empty",
}  # fmt: skip
_PERCENT = (
    "auto-bleu", "auto-bleu2", "self-bleu", "self-bleu2", "vert", "wer", "cer", "abx", "stsp",
    "empty",
)  # fmt: skip
_TWO_DIGITS = ("judge", "verdict", "mos", "mmos", "dnsmos", "sim", "auc")
_FAMILIES = {
    "swuggy": "ZeroSpeech", "sblimp": "ZeroSpeech", "storycloze": "StoryCloze", "salmon": "SALMon",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """A column: one metric of one part of a benchmark. `scale`: 100 where percent is printed.

    `family` heads columns that belong together; `lower` turns the direction where only the
    column's name is known (published figures).
    """

    metric: str
    group: str | None
    label: str
    scale: float
    digits: int
    family: str = ""
    lower: bool = False

    @property
    def higher_is_better(self) -> bool:
        """The direction, by the metric's id."""
        return higher_is_better(self.metric) and not self.lower

    @property
    def arrow(self) -> str:
        """Which way is better."""
        return "↑" if self.higher_is_better else "↓"


def columns(results: Results, groups: Sequence[str | None] = (None,)) -> list[Column]:
    """The results' metrics in order; a benchmark is labeled by its name, the rest by their kind.

    Two metrics of one kind carry their variants in their labels: no column holds two metric ids.
    """
    found: dict[tuple[str, str | None], Column] = {}
    for item in results.results:
        if item.group in groups:
            found.setdefault((item.metric, item.group), _column(item))
    taken = Counter(column.label for column in found.values())
    return [
        replace(column, label=f"{column.label} ({column.metric.partition('/')[2]})")
        if taken[column.label] > 1
        else column
        for column in found.values()
    ]


def by_family(shown: Sequence[Column]) -> list[Column]:
    """The columns with those of a family side by side, families in order of appearance."""
    order = list(dict.fromkeys(column.family for column in shown))
    return sorted(shown, key=lambda column: order.index(column.family))


def family_of(name: str, otherwise: str) -> str:
    """The family a benchmark's name tells (sWUGGY: ZeroSpeech), or `otherwise`."""
    return next((f for part, f in _FAMILIES.items() if part in name.lower()), otherwise)


def is_best(results: Results, column: Column, system: str, baseline: str) -> bool:
    """Whether a system's figure is the column's best and the paired tests say so.

    A system other than the baseline must differ from it at p < 0.05 after Holm's correction; the
    baseline itself must so differ from every other.
    """
    cells = measured(results, column)
    if system not in cells or len(cells) < 2 or _rank(cells, column, system) > 0:
        return False
    rivals = [name for name in cells if name != baseline] if system == baseline else [system]
    return _differ(results, column, rivals, baseline)


def is_second(results: Results, column: Column, system: str, baseline: str) -> bool:
    """Whether a figure is the second best below a best that is marked, and the tests say so.

    A system other than the baseline must differ from it, the baseline from every lower one.
    """
    cells = measured(results, column)
    if system not in cells or _rank(cells, column, system) != 1:
        return False
    if not any(is_best(results, column, name, baseline) for name in cells):
        return False
    lower = [name for name in cells if _rank(cells, column, name) > 1]
    rivals = lower if system == baseline else [system]
    return bool(rivals) and _differ(results, column, rivals, baseline)


def measured(results: Results, column: Column) -> dict[str, Metric]:
    """The column's figures by system, without systems that have none."""
    found = {s.name: results.find(s.name, column.metric, column.group) for s in results.systems}
    return {name: cell for name, cell in found.items() if cell is not None}


def significant(results: Results, column: Column, system: str, baseline: str) -> bool:
    """Whether a system differs from the baseline at p < 0.05 after Holm's correction."""
    test = results.compare(column.metric, system, baseline, column.group)
    return test is not None and test.p_holm < SIGNIFICANT


def _differ(results: Results, column: Column, systems: Sequence[str], baseline: str) -> bool:
    return all(significant(results, column, name, baseline) for name in systems)


def _rank(cells: dict[str, Metric], column: Column, system: str) -> int:
    """How many different values are better."""
    sign = 1 if column.higher_is_better else -1
    mine = sign * cells[system].value
    return len({sign * cell.value for cell in cells.values() if sign * cell.value > mine})


def _further(metric: str) -> str | None:
    """What a further judge's column is called: `Judge score (claude)`, or `Grammar: topic`."""
    kind, name, *more = [*metric.split("/"), ""][:3]
    label = name.partition(":")[2]
    if not label or kind not in ("judge", "verdict"):
        return None
    if kind == "judge":
        return f"Judge score ({label})"
    return f"{label.capitalize()}: {more[0]}"


def _column(item: Metric) -> Column:
    kind = item.metric.split("/")[0]
    if item.benchmark == GENERATION:
        scale = 100.0 if kind in _PERCENT else 1.0
        digits = 2 if kind in _TWO_DIGITS else 1
        label = _further(item.metric) or _LABELS.get(kind, item.metric)
        return Column(item.metric, item.group, label, scale, digits, CONTINUATION)
    label = item.benchmark + (f" ({item.group})" if item.group else "")
    return Column(item.metric, item.group, label, 100.0, 1, family_of(kind, "Other benchmarks"))

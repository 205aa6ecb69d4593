"""By what a round's pairs were selected, as a page shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orality.feedback import read_selection

if TYPE_CHECKING:
    from orality.report.data.run_data import Continuation


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Equation 2 of Align-SLM: at most `rejected` (s_r), at least `chosen` (s_c), delta.

    `min_gap` and `pairs_per_prompt` as in `select_pairs`; `rule`: what the recipe says, where that
    is not the numbers themselves.
    """

    rejected: float | None = None
    chosen: float | None = None
    max_auto_bleu: float | None = None
    min_gap: float = 0.0
    pairs_per_prompt: int = 1
    rule: str = ""

    def side(self, item: Continuation) -> str:
        """What a score and an auto-BLEU allow: `chosen`, `rejected`, `either` or `neither`."""
        if item.score is None:
            return "neither"
        bleu, delta = item.auto_bleu, self.max_auto_bleu
        repeats = bleu is not None and delta is not None and bleu > delta
        bad = repeats or (self.rejected is not None and item.score <= self.rejected)
        good = not repeats and self.chosen is not None and item.score >= self.chosen
        if good:
            return "either" if bad else "chosen"
        return "rejected" if bad else "neither"


def thresholds_of(pairs: Path, given: Mapping[str, Any], options: Mapping[str, Any]) -> Thresholds:
    """Those by which the pairs were selected; before they are, the numbers of the recipe."""
    stored = read_selection(pairs)
    if stored is None:
        given = {**options, **given}
        return Thresholds(
            _number(given.get("rejected")),
            _number(given.get("chosen")),
            _number(given.get("max_auto_bleu")),
        )
    found = stored.selection
    return Thresholds(
        found.rejected, found.chosen, found.max_auto_bleu, found.min_gap, found.pairs_per_prompt,
        rule=stored.rule if stored.scores else "",
    )  # fmt: skip


def _number(value: Any) -> float | None:
    """What is read off the scores only later is not a number yet."""
    return value if isinstance(value, int | float) else None

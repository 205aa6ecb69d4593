"""What trackers are told of a round's data and of an evaluation."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from orality.evaluation.results import Results
from orality.store import count_records, iterate_records, stage_costs

_ROUND = re.compile(r"aligned round (\d+)")


def yield_figures(folder: Path, verdicts: str = "verdicts") -> dict[str, float]:
    """Counts and means of a round's stages, by what is stored; what is not stored is left out.

    `yield/judged`: verdicts with a score, of those in the subfolder `verdicts`. `yield/empty`:
    share of continuations without words. `cost/verdicts/seconds`: of a stage, over all workers.
    """
    prompts = {row["prompt_id"] for row in iterate_records(folder / "continuations", ["prompt_id"])}
    texts = _Means(iterate_records(folder / "transcripts", ["text", "auto_bleu"]))
    judged = _Means(iterate_records(folder / verdicts, ["score"]))
    pairs = _Means(
        iterate_records(folder / "pairs", ["split", "chosen_score", "rejected_score"]), "split"
    )
    figures = {
        "prompts": len(prompts) or None,
        "continuations": count_records(folder / "continuations") or None,
        "empty": texts.share_without("text"),
        "auto_bleu": texts.mean("auto_bleu"),
        "judged": judged.known("score") if judged.rows else None,
        "score": judged.mean("score"),
        "pairs_train": pairs.counts["train"],
        "pairs_dev": pairs.counts["dev"],
        "pairs_per_prompt": pairs.rows / len(prompts) if prompts else None,
        "chosen_score": pairs.mean("chosen_score"),
        "rejected_score": pairs.mean("rejected_score"),
    }
    found = {f"yield/{name}": float(value) for name, value in figures.items() if value is not None}
    for cost in stage_costs(folder.parent):
        if cost.round == folder.name:
            found[f"cost/{cost.stage}/seconds"] = cost.seconds
            found[f"cost/{cost.stage}/rows_per_second"] = cost.rate
            found[f"cost/{cost.stage}/dollars"] = cost.dollars
    return found


class _Means:
    """Sums over records that are read once: how many, how many with a value, and its mean."""

    def __init__(self, records: Iterable[dict[str, Any]], count: str | None = None) -> None:
        self.rows, self.counts = 0, defaultdict[str, int](int)
        self._sums = defaultdict[str, float](float)
        self._known, self._blank = defaultdict[str, int](int), defaultdict[str, int](int)
        for record in records:
            self.rows += 1
            for name, value in record.items():
                if name == count:
                    self.counts[str(value)] += 1
                elif isinstance(value, int | float):
                    self._sums[name] += value
                    self._known[name] += 1
                elif not (value or "").strip():
                    self._blank[name] += 1

    def known(self, name: str) -> int:
        """Records with a number there."""
        return self._known[name]

    def mean(self, name: str) -> float | None:
        """Of those, or None."""
        return self._sums[name] / self._known[name] if self._known[name] else None

    def share_without(self, name: str) -> float | None:
        """Records with no text there."""
        return self._blank[name] / self.rows if self.rows else None


def result_figures(results: Results) -> list[dict[str, float]]:
    """Every system's figures with their intervals; entry K is step K of the evaluation.

    `aligned/sWUGGY` has the pre-trained model as step 0 and round K as step K; other systems come
    with step 0, under their own names. Shares are in [0, 1].
    """
    steps: dict[int, dict[str, float]] = {}
    baseline = str(results.settings.get("baseline", ""))
    for item in results.results:
        if item.group is not None:
            continue
        found = _ROUND.fullmatch(item.system)
        step = int(found.group(1)) if found else 0
        prefix = "aligned" if found or item.system == baseline else item.system
        several = {
            other.metric
            for other in results.results
            if (other.benchmark, other.group) == (item.benchmark, None)
        }
        name = f"{prefix}/{item.metric if len(several) > 1 else item.benchmark}"
        figures = steps.setdefault(step, {})
        figures[name] = item.value
        if item.ci is not None:
            figures |= {f"{name}/low": item.ci.low, f"{name}/high": item.ci.high}
    return [steps.get(step, {}) for step in range(max(steps, default=-1) + 1)]

"""Thresholds read off what a round has judged, where a recipe gives no numbers.

Align-SLM sets s_r and s_c by looking at the scores' distribution, and delta at the auto-BLEU of
true continuations (appendices H and I). The same is done here by rule, so that another judge, a
narrow range of scores or short texts need no other recipe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from orality.errors import OralityError
from orality.feedback.auto_bleu import auto_bleu
from orality.feedback.preferences import Selection
from orality.feedback.select import Candidate
from orality.recipe.pair_sections import AUTO, SelectionOptions, Threshold, Thresholds

MIN_TEXTS = 20
"""From fewer true continuations no quantile is read."""
_SHARES = np.arange(0.05, 1.0001, 0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionRule:
    """How a round's pairs are selected, as a recipe says it: numbers, quantiles or `auto`."""

    thresholds: Thresholds
    options: SelectionOptions
    by: Literal["score", "perplexity"] = "score"

    @property
    def fixed(self) -> Selection | None:
        """The selection, where no part of it depends on what is judged."""
        scores, options = self.thresholds.scores, self.options
        if scores is None or isinstance(options.max_auto_bleu, str | None):
            return None
        if isinstance(options.min_gap, str):
            return None
        return Selection(
            rejected=scores[0],
            chosen=scores[1],
            max_auto_bleu=options.max_auto_bleu,
            min_gap=options.min_gap,
            repetition_pairs=options.repetition_pairs,
            pairs_per_prompt=options.pairs_per_prompt,
            by=self.by,
            verdicts=options.verdicts,
        )

    def resolve(
        self,
        candidates: Mapping[str, Sequence[Candidate]],
        *,
        true_texts: Sequence[str] = (),
        lengths: Sequence[int] = (),
    ) -> Selection:
        """The selection for these candidates, by prompt.

        `true_texts`: how the prompts really go on; `lengths`: of what was heard, in words.
        OralityError when thresholds depend on scores and there are none.
        """
        if self.fixed is not None:
            return self.fixed
        options = self.options
        delta, gap = options.max_auto_bleu, options.min_gap
        found = Selection(
            rejected=-np.inf,
            chosen=np.inf,
            max_auto_bleu=usual_repetition(true_texts, lengths)
            if isinstance(delta, str)
            else delta,
            min_gap=usual_gap(candidates) if isinstance(gap, str) else gap,
            repetition_pairs=options.repetition_pairs,
            pairs_per_prompt=options.pairs_per_prompt,
            by=self.by,
            verdicts=options.verdicts,
        )
        if self.by == "perplexity":  # equation 1 has no thresholds of scores
            return replace(found, rejected=0.0, chosen=0.0)
        scores = [i.score for some in candidates.values() for i in some if i.score is not None]
        if not scores:
            raise OralityError(
                "thresholds are read off a round's scores, but the judge has given none; give the "
                "thresholds as numbers, or another judge"
            )
        if self.thresholds.rejected != AUTO:
            rejected = _score(self.thresholds.rejected, scores, "lower")
            chosen = _score(self.thresholds.chosen, scores, "higher")
            return replace(found, rejected=rejected, chosen=chosen)
        return _strictest(found, candidates, scores, options.wanted_yield)


def _score(
    threshold: Threshold, scores: Sequence[float], method: Literal["lower", "higher"]
) -> float:
    if not isinstance(threshold, str):
        return threshold
    return float(np.quantile(scores, float(threshold.removesuffix("%")) / 100, method=method))


def _strictest(
    selection: Selection,
    candidates: Mapping[str, Sequence[Candidate]],
    scores: Sequence[float],
    wanted: float,
) -> Selection:
    """The lowest s_r and highest s_c at which enough prompts give a pair, else what gives most.

    s_r is the quantile q of all scores and s_c the quantile 1 - q, q rising from .05. Beyond .5 the
    two overlap: then a prompt's own gap decides alone, which suits prompts that differ more among
    each other than their continuations do.
    """
    for share in _SHARES:
        selection = replace(
            selection,
            rejected=float(np.quantile(scores, min(share, 1.0), method="lower")),
            chosen=float(np.quantile(scores, max(1 - share, 0.0), method="higher")),
        )
        if selection.yield_of(candidates) >= wanted:
            break
    return selection


def usual_gap(candidates: Mapping[str, Sequence[Candidate]]) -> float:
    """The standard deviation (n - 1) of scores within a prompt, pooled; 0 where none has two."""
    squares, freedom = 0.0, 0
    for some in candidates.values():
        scores = [item.score for item in some if item.score is not None]
        if len(scores) > 1:
            squares += float(np.var(scores)) * len(scores)
            freedom += len(scores) - 1
    return float(np.sqrt(squares / freedom)) if freedom else 0.0


def usual_repetition(true_texts: Sequence[str], lengths: Sequence[int]) -> float:
    """The auto-BLEU that natural speech of this length stays below, in [0, 1].

    The 95 % quantile of the true continuations' auto-BLEU, where there are `MIN_TEXTS` of them;
    at least that of one bigram said twice in a text of the median of `lengths` words, which is
    2 / (words - 1): in a short text a single repetition says nothing.
    """
    usual = float(np.median(lengths)) if lengths else 0.0
    once = 2 / (usual - 1) if usual > 2 else 1.0
    natural = [auto_bleu(text) for text in true_texts if text]
    quantile = float(np.quantile(natural, 0.95)) if len(natural) >= MIN_TEXTS else 0.0
    return min(1.0, max(once, quantile))

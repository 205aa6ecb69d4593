"""What is wrong with a round's pairs, and which thresholds would suit its scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orality.feedback import Selection, SelectionRule, read_pairs, read_selection, resolve
from orality.feedback.select import Candidate, Pair
from orality.preferences.shortcuts import shortcut_accuracies
from orality.recipe.pair_sections import SelectionOptions, Thresholds
from orality.store import read_json
from orality.types import PreferencePair

MANY = 0.25
"""The share of pairs from which on something is called wrong with them."""
_WORDS = {
    "longer_wins": "longer wins",
    "likelier_wins": "likelier per unit wins",
    "fewer_repeats_wins": "fewer repeats wins",
}


@dataclass(frozen=True, slots=True)
class Causes:
    """Pairs by why their rejected side was rejected, and those whose scores point the other way."""

    pairs: int
    by_score: int
    by_repetition: int
    inverted: int


def causes(pairs: Sequence[Pair], selection: Selection) -> Causes:
    """Count a selection's pairs; `by_repetition`: rejected for that alone, not for the score."""
    low = [pair.rejected.score or 0.0 for pair in pairs]
    by_score = sum(score <= selection.rejected for score in low)
    inverted = sum(
        (pair.chosen.score or 0.0) <= score for pair, score in zip(pairs, low, strict=True)
    )
    return Causes(len(pairs), by_score, len(pairs) - by_score, inverted)


def check_pairs(
    run: Path,
    name: str,
    candidates: Mapping[str, Sequence[Candidate]],
    options: SelectionOptions,
) -> Iterator[str]:
    """Lines of Markdown about the pairs of one round, and the thresholds that its scores propose.

    `candidates`: of each prompt; `options`: the recipe's section `selection`.
    """
    folder = run / name
    stored = read_selection(folder / "pairs")
    if stored is not None:
        yield from _used(candidates, stored.selection)
    if (folder / "pairs").is_dir():
        yield from _dev(read_pairs(folder / "pairs", "dev"), folder / "train" / "result.json")
    proposed = resolve(_proposal(options), run, name)
    share = proposed.pairing / max(1, proposed.prompts)
    yield (
        f"Proposed (auto): rejected {proposed.selection.rejected:.3g}, chosen "
        f"{proposed.selection.chosen:.3g}, max_auto_bleu {proposed.selection.max_auto_bleu:.2g}, "
        f"min_gap {proposed.selection.min_gap:.2g}: {share:.0%} of the prompts give a pair"
    )


def _proposal(options: SelectionOptions) -> SelectionRule:
    open_ended = {"max_auto_bleu": "auto", "min_gap": "auto", "repetition_pairs": False}
    return SelectionRule(
        thresholds=Thresholds(rejected="auto", chosen="auto"),
        options=options.model_copy(update=open_ended),
    )


def _used(candidates: Mapping[str, Sequence[Candidate]], selection: Selection) -> Iterator[str]:
    if selection.by != "score":
        return
    pairs = [pair for some in candidates.values() for pair in selection.pick(some)]
    found = causes(pairs, selection)
    if not found.pairs:
        yield (
            f"No pairs: nothing is both rejected at {selection.rejected:.3g} and chosen at "
            f"{selection.chosen:.3g} in one prompt. Take the thresholds proposed below."
        )
        return
    yield (
        f"{found.pairs} pairs: {found.by_score / found.pairs:.0%} rejected by score, "
        f"{found.by_repetition / found.pairs:.0%} only for repeating themselves; in "
        f"{found.inverted / found.pairs:.0%} the rejected side scores as high as the chosen one, "
        "or higher"
    )
    if found.by_repetition > MANY * found.pairs:
        yield (
            "**Too many are rejected only for repetition.** In short texts one repeated bigram is "
            "enough for an auto-BLEU of "
            f"{selection.max_auto_bleu:g}: such pairs teach nothing about the score. Raise "
            "`selection.max_auto_bleu`, or set it to `auto`."
        )
    if found.inverted:
        yield (
            "**Some pairs point against the judge's score.** Leave out "
            "`selection.repetition_pairs`."
        )


def _dev(pairs: Sequence[PreferencePair], result: Path) -> Iterator[str]:
    if not pairs:
        yield "No dev pairs: nothing says whether a training generalizes. Raise max_dev_prompts."
        return
    rules = shortcut_accuracies(pairs)
    known = [f"{_WORDS[rule]} {value:.2f}" for rule, value in rules.items()]
    policy = read_json(result).get("dev", {}).get("reward_accuracy") if result.is_file() else None
    if policy is not None:
        known.append(f"the policy {policy:.2f}")
    yield f"Accuracy on {len(pairs)} dev pairs: {', '.join(known)}"
    best = max(rules, key=lambda rule: rules[rule], default=None)
    if policy is not None and best is not None and rules[best] >= policy:
        yield (
            f"**The policy orders dev pairs no better than the rule “{_WORDS[best]}”.** What it "
            "learned may be that rule: compare generated scores at equal repetition and length."
        )

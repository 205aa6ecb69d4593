"""What looks wrong with a preference training, by its metrics: what, what is usual, what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from scipy.stats import binom

HARDLY_MOVED = 0.05
"""Nats per continuation; a policy that is this close to where it started speaks as before."""

MAX_KL = 50.0
"""Nats per continuation; trainings that helped stayed between 1 and 20."""

MAX_FALL = 0.2
"""Nats per unit that the chosen continuations may lose."""

LEARNED = 0.9
"""A training accuracy above which pairs are known by heart, unless dev pairs follow."""

Record = Mapping[str, float]


def diagnose(
    records: Sequence[Record], best_step: int, *, dev_pairs: int, max_kl: float | None = None
) -> list[str]:
    """A sentence or two for each thing that looks wrong with a training, none where all is well.

    `records`: metrics of all steps (`read_metrics`); `best_step`: the one that is kept;
    `dev_pairs`: how many the dev figures are of, alternatives counted once; `max_kl`: nats per
    continuation, `MAX_KL` if None. Training figures are means over the last quarter of the steps.
    """
    if not records:
        return []
    kept = next((record for record in records if record["step"] == best_step), records[-1])
    late = records[-math.ceil(len(records) / 4) :]
    found = (
        _memorized(records, kept, late, dev_pairs),
        *_distance(kept, late, MAX_KL if max_kl is None else max_kl),
        _chosen_falls(kept),
    )
    return [warning for warning in found if warning is not None]


def chance_interval(pairs: int) -> tuple[float, float]:
    """Between which accuracies guessing stays on so many pairs, 95 % of the time (binomial)."""
    low, high = binom.interval(0.95, pairs, 0.5)
    return float(low) / pairs, float(high) / pairs


def _accuracy(record: Record, prefix: str = "") -> float:
    """Where a tie counts half."""
    return record[f"{prefix}reward_accuracy"] + record[f"{prefix}reward_ties"] / 2


def _memorized(
    records: Sequence[Record], kept: Record, late: Sequence[Record], dev_pairs: int
) -> str | None:
    evaluated = [record for record in records if "dev_reward_accuracy" in record]
    if not evaluated or not dev_pairs:
        return None
    low, high = chance_interval(dev_pairs)
    train = sum(map(_accuracy, late)) / len(late)
    dev = [_accuracy(r, "dev_") for r in (kept, evaluated[-1]) if "dev_reward_accuracy" in r]
    if train <= LEARNED or max(dev) > high:
        return None
    return (
        f"dev accuracy is {dev[0]:.2f} where training accuracy is {train:.2f}: the policy learns "
        f"its pairs by heart (guessing gives {low:.2f} to {high:.2f} on {dev_pairs} dev pairs; "
        "pairs that generalize give 0.6 to 0.75). Select pairs by a larger score gap, sample more "
        "prompts, or lower training.epochs or training.learning_rate"
    )


def _distance(kept: Record, late: Sequence[Record], limit: float) -> list[str | None]:
    kl = kept.get("dev_kl", sum(record["kl"] for record in late) / len(late))
    if kl < HARDLY_MOVED:
        return [
            f"the KL is {kl:.3f} nats per continuation, usual are 1 to 20: the policy has hardly "
            "moved. Raise training.learning_rate or training.epochs, or lower training.beta"
        ]
    if kl > limit:
        return [
            f"the KL is {kl:.1f} nats per continuation, above the limit of {limit:g}, usual are 1 "
            "to 20: the policy has moved far from where it started and may speak worse. Lower "
            "training.learning_rate or training.epochs, raise training.beta, or raise "
            "training.max_kl if its speech is fine"
        ]
    return []


def _chosen_falls(kept: Record) -> str | None:
    gain = kept.get("dev_chosen_gain", 0.0)
    if gain >= -MAX_FALL:
        return None
    return (
        f"the chosen continuations of the dev pairs have lost {-gain:.2f} nats per unit, usual is "
        f"less than {MAX_FALL:g}: probability goes to neither side of the pairs. Raise "
        "training.beta or training.sft_weight, or lower training.learning_rate"
    )

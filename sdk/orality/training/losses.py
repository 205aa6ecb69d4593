"""What is minimized, as pure functions of log-probabilities.

All arguments have shape (pairs,): the log-probability of a continuation given its prompt, in nats,
summed over its units, under the policy or the reference; lengths are counts of units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from torch import Tensor
from torch.nn.functional import logsigmoid, relu

from orality.errors import TrainingError

LossName = Literal["sigmoid", "ipo", "hinge", "robust", "simpo"]
GapUse = Literal["none", "margin", "weight"]

Offset = Tensor | float
"""What is asked of each pair's reward margin beyond the loss' own wish: (pairs,) or one number."""


class Sides(NamedTuple):
    """A value for the chosen and one for the rejected continuation of each pair."""

    chosen: Tensor
    rejected: Tensor

    @property
    def margin(self) -> Tensor:
        """How far the chosen side is ahead."""
        return self.chosen - self.rejected


@dataclass(frozen=True, kw_only=True)
class PreferenceLoss:
    """Which loss, and its settings.

    `beta` > 0 holds the policy to the reference: the larger, the closer. `label_smoothing`: the
    share of pairs believed to be the wrong way round, in [0, 0.5), for `sigmoid` (cDPO) and
    `robust`. `margin`: what `simpo` wants between the sides, in nats. `sft_weight`: weight of an
    added next-unit loss on the chosen continuation, per unit. `gap`: what the difference of the
    sides' scores does: `margin` asks for `gap_scale` times as much of the reward margin (ODPO),
    `weight` weighs each pair's loss by it.
    """

    name: LossName = "sigmoid"
    beta: float = 0.1
    label_smoothing: float = 0.0
    margin: float = 0.0
    sft_weight: float = 0.0
    gap: GapUse = "none"
    gap_scale: float = 1.0

    def __post_init__(self) -> None:
        wanted = {
            f"name one of {', '.join(get_args(LossName))}": self.name in get_args(LossName),
            "beta > 0": self.beta > 0,
            "label_smoothing in [0, 0.5)": 0 <= self.label_smoothing < 0.5,
            "label_smoothing 0 unless the loss is sigmoid or robust": not self.label_smoothing
            or self.name in ("sigmoid", "robust"),
            "margin 0 unless the loss is simpo": not self.margin or self.name == "simpo",
            "sft_weight >= 0": self.sft_weight >= 0,
            f"gap one of {', '.join(get_args(GapUse))}": self.gap in get_args(GapUse),
            "another gap than margin for simpo, which has a margin per unit": self.gap != "margin"
            or self.name != "simpo",
            "gap_scale > 0": self.gap_scale > 0,
            "gap_scale 1 unless the gap is a margin": self.gap_scale == 1 or self.gap == "margin",
        }
        problems = [rule for rule, kept in wanted.items() if not kept]
        if problems:
            raise TrainingError(f"got {self}; wanted {'; '.join(problems)}")


def preference_loss(
    settings: PreferenceLoss,
    policy: Sides,
    reference: Sides,
    lengths: Sides,
    gaps: Tensor | None = None,
    mean_gap: float = 1.0,
) -> Tensor:
    """The loss of each pair, shape (pairs,).

    `gaps`: by how much each chosen score is above the rejected one; TrainingError where the
    settings use the gap and it is not given. `mean_gap`: of all training pairs, > 0; as a weight, a
    gap counts relative to it. The added next-unit loss is not weighted.
    """
    if settings.gap != "none" and gaps is None:
        raise TrainingError(f"gap: {settings.gap} needs the score gap of every pair, got none")
    offset = settings.gap_scale * gaps if settings.gap == "margin" and gaps is not None else 0.0
    loss = _LOSSES[settings.name](settings, policy, reference, lengths, offset)
    if settings.gap == "weight" and gaps is not None:
        loss = loss * gaps / mean_gap
    if settings.sft_weight:
        loss = loss + settings.sft_weight * next_unit_loss(policy.chosen, lengths.chosen)
    return loss


def rewards(settings: PreferenceLoss, policy: Sides, reference: Sides, lengths: Sides) -> Sides:
    """Implicit rewards, without gradient: beta times what the policy gained on the reference, in
    nats; for `simpo`, which has no reference, beta times the mean log-probability per unit."""
    policy = Sides(policy.chosen.detach(), policy.rejected.detach())
    if settings.name == "simpo":
        chosen, rejected = policy.chosen / lengths.chosen, policy.rejected / lengths.rejected
    else:
        chosen, rejected = policy.chosen - reference.chosen, policy.rejected - reference.rejected
    return Sides(settings.beta * chosen, settings.beta * rejected)


def next_unit_loss(log_probs: Tensor, lengths: Tensor) -> Tensor:
    """Mean negative log-probability per unit, shape (sequences,), from sums and unit counts."""
    return -log_probs / lengths


def sigmoid(
    settings: PreferenceLoss, policy: Sides, reference: Sides, lengths: Sides, offset: Offset = 0.0
) -> Tensor:
    """Direct preference optimization (Align-SLM, equation 3); with an offset, ODPO (Amini et al.
    2024): -log sigmoid(reward margin - offset). With `label_smoothing` e, cDPO: the loss is that of
    the pair with weight 1 - e and of the pair reversed with weight e."""
    kept, turned = _both_ways(settings, policy, reference, offset)
    flipped = settings.label_smoothing
    return (1 - flipped) * kept + flipped * turned


def robust(
    settings: PreferenceLoss, policy: Sides, reference: Sides, lengths: Sides, offset: Offset = 0.0
) -> Tensor:
    """rDPO (Chowdhury et al. 2024, equation 12): unbiased under labels flipped at the rate e."""
    kept, turned = _both_ways(settings, policy, reference, offset)
    flipped = settings.label_smoothing
    return ((1 - flipped) * kept - flipped * turned) / (1 - 2 * flipped)


def ipo(
    settings: PreferenceLoss, policy: Sides, reference: Sides, lengths: Sides, offset: Offset = 0.0
) -> Tensor:
    """Identity preference optimization (Azar et al. 2024, equation 17), on sums: the margin gained
    on the reference is drawn to 1 / (2 beta) nats, and no further. An offset, which is a reward,
    moves that by offset / beta."""
    wanted = (0.5 + offset) / settings.beta
    return (policy.margin - reference.margin - wanted) ** 2


def hinge(
    settings: PreferenceLoss, policy: Sides, reference: Sides, lengths: Sides, offset: Offset = 0.0
) -> Tensor:
    """SLiC's hinge on the rewards of DPO (Liu et al. 2024, RSO): 0 from margin 1 + offset on."""
    return relu(1 + offset - settings.beta * (policy.margin - reference.margin))


def simpo(
    settings: PreferenceLoss, policy: Sides, reference: Sides, lengths: Sides, offset: Offset = 0.0
) -> Tensor:
    """SimPO (Meng et al. 2024, equation 6): means per unit instead of sums, and no reference."""
    chosen, rejected = policy.chosen / lengths.chosen, policy.rejected / lengths.rejected
    return -logsigmoid(settings.beta * (chosen - rejected) - settings.margin)


def _both_ways(
    settings: PreferenceLoss, policy: Sides, reference: Sides, offset: Offset
) -> tuple[Tensor, Tensor]:
    """DPO's loss of each pair as it is and reversed; either way, the winner leads by the offset."""
    gained = settings.beta * (policy.margin - reference.margin)
    return -logsigmoid(gained - offset), -logsigmoid(-gained - offset)


_LOSSES: dict[str, Callable[[PreferenceLoss, Sides, Sides, Sides, Offset], Tensor]] = {
    "sigmoid": sigmoid,
    "ipo": ipo,
    "hinge": hinge,
    "robust": robust,
    "simpo": simpo,
}


def reward_figures(
    reward_chosen: Tensor, reward_rejected: Tensor, shares: Tensor | None = None
) -> dict[str, float]:
    """Mean reward margin, and the shares of pairs won and tied, each in [0, 1].

    `shares`: how much each pair counts, 1 by default. A tie is no win: before the first step, when
    policy and reference are one, accuracy is 0 and `reward_ties` is 1.
    """
    margin = reward_chosen.double() - reward_rejected.double()
    return {
        "reward_margin": weighted_mean(margin, shares),
        "reward_accuracy": weighted_mean((margin > 0).double(), shares),
        "reward_ties": weighted_mean((margin == 0).double(), shares),
    }


def weighted_mean(values: Tensor, shares: Tensor | None = None) -> float:
    """The mean of `values`, shape (pairs,), each counted by its share."""
    if shares is None:
        return float(values.double().mean())
    return float((values.double() * shares.double()).sum() / shares.double().sum())

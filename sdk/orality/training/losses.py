"""What is minimized, as pure functions of log-probabilities."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


class PreferenceTerms(NamedTuple):
    """One value per pair, shape (pairs,): the loss, and the implicit rewards in nats."""

    loss: Tensor
    reward_chosen: Tensor
    reward_rejected: Tensor


def dpo_loss(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    *,
    beta: float,
) -> PreferenceTerms:
    """Direct preference optimization with a sigmoid (Align-SLM, equation 3).

    All four: shape (pairs,), the log-probability of a continuation given its prompt, summed over
    its units, in nats. `beta` > 0 holds the policy to the reference: the larger, the closer.
    The rewards carry no gradient.
    """
    reward_chosen = beta * (policy_chosen - reference_chosen)
    reward_rejected = beta * (policy_rejected - reference_rejected)
    loss = -logsigmoid(reward_chosen - reward_rejected)
    return PreferenceTerms(loss, reward_chosen.detach(), reward_rejected.detach())


def next_unit_loss(log_probs: Tensor, lengths: Tensor) -> Tensor:
    """Mean negative log-probability per unit, shape (sequences,), from sums and unit counts."""
    return -log_probs / lengths


def reward_figures(reward_chosen: Tensor, reward_rejected: Tensor) -> dict[str, float]:
    """Mean reward margin, and the shares of pairs won and tied, each in [0, 1].

    A tie is no win: before the first step, when policy and reference are one, accuracy is 0 and
    `reward_ties` is 1.
    """
    margin = reward_chosen.double() - reward_rejected.double()
    return {
        "reward_margin": float(margin.mean()),
        "reward_accuracy": float((margin > 0).to(torch.float64).mean()),
        "reward_ties": float((margin == 0).to(torch.float64).mean()),
    }

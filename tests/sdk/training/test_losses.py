from __future__ import annotations

import math

import pytest
import torch

from orality.training.losses import dpo_loss, next_unit_loss, reward_figures


def terms(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    values = (policy_chosen, policy_rejected, reference_chosen, reference_rejected)
    return dpo_loss(*(torch.tensor(value, dtype=torch.float64) for value in values), beta=beta)


def test_the_dpo_loss_is_what_equation_3_gives_by_hand():
    """Two pairs, beta = 0.5.

    Pair 1: chosen -10 against -12 in the reference: reward 0.5 * 2 = 1. Rejected -9 against -7:
    reward 0.5 * -2 = -1. Margin 2, loss -log(1 / (1 + e^-2)) = log(1 + e^-2) = 0.126928.
    Pair 2: chosen -5 against -4: reward -0.5. Rejected -3 against -6: reward 1.5. Margin -2, loss
    log(1 + e^2) = 2.126928.
    """
    got = terms([-10.0, -5.0], [-9.0, -3.0], [-12.0, -4.0], [-7.0, -6.0], beta=0.5)
    assert got.reward_chosen.tolist() == [1.0, -0.5]
    assert got.reward_rejected.tolist() == [-1.0, 1.5]
    assert got.loss.tolist() == pytest.approx([0.12692801, 2.12692801], abs=1e-8)


def test_the_loss_is_log_2_while_policy_and_reference_are_one():
    got = terms([-10.0], [-20.0], [-10.0], [-20.0], beta=0.1)
    assert got.loss.item() == pytest.approx(math.log(2))


def test_the_gradient_pushes_both_sides_apart_by_beta_times_the_error():
    """d loss / d policy_chosen = -beta * sigmoid(-margin); at margin 0 that is -beta / 2."""
    chosen = torch.tensor([-4.0], requires_grad=True)
    rejected = torch.tensor([-6.0], requires_grad=True)
    dpo_loss(chosen, rejected, chosen.detach(), rejected.detach(), beta=0.2).loss.sum().backward()
    assert chosen.grad.item() == pytest.approx(-0.1)
    assert rejected.grad.item() == pytest.approx(0.1)


def test_a_huge_margin_gives_no_infinity():
    got = terms([0.0, -1e6], [-1e6, 0.0], [0.0, 0.0], [0.0, 0.0], beta=1.0)
    assert got.loss.tolist() == [0.0, 1e6]


def test_a_tie_is_no_win_and_is_counted_apart():
    """Margins 1, 0, -3, 0: one win in four, two ties in four, mean -0.5."""
    figures = reward_figures(torch.tensor([1.0, 2.0, 0.0, 0.5]), torch.tensor([0.0, 2.0, 3.0, 0.5]))
    assert figures == {"reward_margin": -0.5, "reward_accuracy": 0.25, "reward_ties": 0.5}


def test_the_next_unit_loss_is_per_unit():
    got = next_unit_loss(torch.tensor([-6.0, -1.0]), torch.tensor([3, 1]))
    assert got.tolist() == [2.0, 1.0]

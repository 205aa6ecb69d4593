from __future__ import annotations

import math

import pytest
import torch

from orality.errors import TrainingError
from orality.training.losses import (
    PreferenceLoss,
    Sides,
    next_unit_loss,
    preference_loss,
    reward_figures,
    rewards,
)


def tensors(*values):
    return [torch.tensor(value, dtype=torch.float64) for value in values]


def terms(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, *,
    gaps=None, mean_gap=1.0, **settings,
):  # fmt: skip
    chosen, rejected = tensors(policy_chosen, policy_rejected)
    reference = Sides(*tensors(reference_chosen, reference_rejected))
    lengths = Sides(torch.full_like(chosen, 4), torch.full_like(rejected, 8))
    loss, policy = PreferenceLoss(**settings), Sides(chosen, rejected)
    return (
        preference_loss(
            loss, policy, reference, lengths, None if gaps is None else tensors(gaps)[0], mean_gap
        ),
        rewards(loss, policy, reference, lengths),
    )


# Two pairs. 1: chosen -10 against -12 in the reference, gained 2; rejected -9 against -7, gained
# -2: the margin gained is 4. 2: chosen -5 against -4, rejected -3 against -6: it is -1 - 3 = -4.
PAIRS = ([-10.0, -5.0], [-9.0, -3.0], [-12.0, -4.0], [-7.0, -6.0])


def test_the_dpo_loss_is_what_equation_3_gives_by_hand():
    """beta = 0.5: rewards 1 and -1, then -0.5 and 1.5; margins 2 and -2. The losses are
    log(1 + e^-2) = 0.126928 and log(1 + e^2) = 2.126928."""
    loss, reward = terms(*PAIRS, beta=0.5)
    assert reward.chosen.tolist() == [1.0, -0.5]
    assert reward.rejected.tolist() == [-1.0, 1.5]
    assert loss.tolist() == pytest.approx([0.12692801, 2.12692801], abs=1e-8)


def test_smoothed_labels_mix_the_loss_of_the_pair_and_of_its_reverse():
    """0.9 * 0.126928 + 0.1 * 2.126928 = 0.326928, and 0.9 * 2.126928 + 0.1 * 0.126928."""
    loss, _ = terms(*PAIRS, beta=0.5, label_smoothing=0.1)
    assert loss.tolist() == pytest.approx([0.32692801, 1.92692801], abs=1e-8)


def test_the_robust_loss_takes_out_what_flipped_labels_put_in():
    """(0.9 * 0.126928 - 0.1 * 2.126928) / 0.8 = -0.123072; the other way: 2.376928."""
    loss, _ = terms(*PAIRS, name="robust", beta=0.5, label_smoothing=0.1)
    assert loss.tolist() == pytest.approx([-0.12307199, 2.37692801], abs=1e-8)


def test_the_robust_loss_is_unbiased_under_flips():
    """With a share e of the pairs the wrong way round, its mean is the clean loss."""
    clean, _ = terms(*PAIRS, beta=0.5)
    right, _ = terms(*PAIRS, name="robust", beta=0.5, label_smoothing=0.2)
    chosen, rejected, reference_chosen, reference_rejected = PAIRS
    turned = (rejected, chosen, reference_rejected, reference_chosen)
    wrong, _ = terms(*turned, name="robust", beta=0.5, label_smoothing=0.2)
    torch.testing.assert_close(0.8 * right + 0.2 * wrong, clean)


def test_ipo_draws_the_gain_to_half_the_inverse_of_beta():
    """beta = 0.25 wants a gain of 2: (4 - 2)^2 = 4 and (-4 - 2)^2 = 36."""
    assert terms(*PAIRS, name="ipo", beta=0.25)[0].tolist() == [4.0, 36.0]


def test_the_hinge_asks_for_a_margin_of_one():
    """beta = 0.125: margins 0.5 and -0.5, so 1 - 0.5 and 1 + 0.5; at beta 0.5 the first is met."""
    assert terms(*PAIRS, name="hinge", beta=0.125)[0].tolist() == [0.5, 1.5]
    assert terms(*PAIRS, name="hinge", beta=0.5)[0].tolist() == [0.0, 3.0]


def test_simpo_compares_means_per_unit_and_knows_no_reference():
    """4 and 8 units: means -2.5 and -1.125, then -1.25 and -0.375. beta 2: rewards -5, -2.25 and
    -2.5, -0.75; less the margin 0.25: -3 and -2. log(1 + e^3) = 3.048587, log(1 + e^2)."""
    loss, reward = terms(*PAIRS, name="simpo", beta=2.0, margin=0.25)
    assert loss.tolist() == pytest.approx([3.04858735, 2.12692801], abs=1e-8)
    assert reward.chosen.tolist() == [-5.0, -2.5]
    assert reward.rejected.tolist() == [-2.25, -0.75]


def test_the_next_unit_loss_is_added_by_its_weight():
    """10 / 4 and 5 / 4 nats a unit, times 0.2, on top of the losses above."""
    loss, _ = terms(*PAIRS, beta=0.5, sft_weight=0.2)
    assert loss.tolist() == pytest.approx([0.62692801, 2.37692801], abs=1e-8)


GAPS = [1.5, 0.5]  # times 2 as offsets: 3 and 1


def test_the_gap_as_a_margin_is_taken_from_the_reward_margin():
    """ODPO: margins 2 and -2 less 3 and 1: log(1 + e^1) = 1.313262 and log(1 + e^3) = 3.048587."""
    loss, reward = terms(*PAIRS, beta=0.5, gap="margin", gap_scale=2.0, gaps=GAPS)
    assert loss.tolist() == pytest.approx([1.31326169, 3.04858735], abs=1e-8)
    assert reward.margin.tolist() == [2.0, -2.0]  # what the policy gained is as it was


def test_a_reversed_pair_is_asked_for_the_same_margin():
    """Reversed: -2 - 3 = -5 and 2 - 1 = 1, so 5.006715 and 0.313262, weighted 0.1."""
    loss, _ = terms(*PAIRS, beta=0.5, label_smoothing=0.1, gap="margin", gap_scale=2.0, gaps=GAPS)
    assert loss.tolist() == pytest.approx(
        [0.9 * 1.31326169 + 0.1 * 5.00671535, 0.9 * 3.04858735 + 0.1 * 0.31326169], abs=1e-8
    )


def test_the_robust_loss_with_a_margin_is_unbiased_under_flips():
    asked = {"gap": "margin", "gap_scale": 2.0, "gaps": GAPS, "beta": 0.5}
    clean, _ = terms(*PAIRS, **asked)
    right, _ = terms(*PAIRS, name="robust", label_smoothing=0.2, **asked)
    chosen, rejected, reference_chosen, reference_rejected = PAIRS
    turned = (rejected, chosen, reference_rejected, reference_chosen)
    wrong, _ = terms(*turned, name="robust", label_smoothing=0.2, **asked)
    torch.testing.assert_close(0.8 * right + 0.2 * wrong, clean)


def test_ipo_and_the_hinge_are_drawn_further_by_the_gap():
    """ipo, beta 0.25: (0.5 + 3) / 0.25 = 14 and (0.5 + 1) / 0.25 = 6 nats wanted of 4 and -4.
    Hinge, beta 0.125: 1 + 3 - 0.5 and 1 + 1 + 0.5."""
    asked = {"gap": "margin", "gap_scale": 2.0, "gaps": GAPS}
    assert terms(*PAIRS, name="ipo", beta=0.25, **asked)[0].tolist() == [100.0, 100.0]
    assert terms(*PAIRS, name="hinge", beta=0.125, **asked)[0].tolist() == [3.5, 2.5]


@pytest.mark.parametrize("name", ["sigmoid", "robust", "ipo", "hinge", "simpo"])
def test_the_gap_as_a_weight_multiplies_the_loss_relative_to_the_mean(name):
    """Gaps 1.5 and 0.5 of a mean of 0.5: three times and once."""
    plain, _ = terms(*PAIRS, name=name, beta=0.125)
    weighed, _ = terms(*PAIRS, name=name, beta=0.125, gap="weight", gaps=GAPS, mean_gap=0.5)
    torch.testing.assert_close(weighed, plain * torch.tensor([3.0, 1.0], dtype=torch.float64))


def test_the_added_next_unit_loss_is_not_weighed():
    """Gap 0 leaves 0.2 * 10 / 4 and 0.2 * 5 / 4 alone."""
    loss, _ = terms(*PAIRS, sft_weight=0.2, gap="weight", gaps=[0.0, 0.0])
    assert loss.tolist() == pytest.approx([0.5, 0.25])


def test_a_gap_that_is_used_must_be_given():
    with pytest.raises(TrainingError, match="gap: weight needs the score gap of every pair"):
        terms(*PAIRS, gap="weight")


def test_uses_of_the_gap_that_mean_nothing_are_refused():
    with pytest.raises(TrainingError, match="another gap than margin for simpo"):
        PreferenceLoss(name="simpo", gap="margin")
    with pytest.raises(TrainingError, match="gap_scale 1 unless the gap is a margin"):
        PreferenceLoss(gap="weight", gap_scale=2.0)
    with pytest.raises(TrainingError, match="gap one of none, margin, weight"):
        PreferenceLoss(gap="both")
    with pytest.raises(TrainingError, match="gap_scale > 0"):
        PreferenceLoss(gap="margin", gap_scale=-1.0)


def test_the_loss_is_log_2_while_policy_and_reference_are_one():
    loss, _ = terms([-10.0], [-20.0], [-10.0], [-20.0], beta=0.1)
    assert loss.item() == pytest.approx(math.log(2))


def test_the_gradient_pushes_both_sides_apart_by_beta_times_the_error():
    """d loss / d policy_chosen = -beta * sigmoid(-margin); at margin 0 that is -beta / 2."""
    chosen = torch.tensor([-4.0], requires_grad=True)
    rejected = torch.tensor([-6.0], requires_grad=True)
    sides, ones = Sides(chosen, rejected), torch.ones(1)
    reference = Sides(chosen.detach(), rejected.detach())
    preference_loss(PreferenceLoss(beta=0.2), sides, reference, Sides(ones, ones)).sum().backward()
    assert chosen.grad.item() == pytest.approx(-0.1)
    assert rejected.grad.item() == pytest.approx(0.1)


def test_a_huge_margin_gives_no_infinity():
    loss, _ = terms([0.0, -1e6], [-1e6, 0.0], [0.0, 0.0], [0.0, 0.0], beta=1.0)
    assert loss.tolist() == [0.0, 1e6]


def test_smoothing_a_loss_that_has_no_labels_to_smooth_is_refused():
    with pytest.raises(TrainingError, match="label_smoothing 0 unless the loss is sigmoid"):
        PreferenceLoss(name="ipo", label_smoothing=0.1)


def test_a_tie_is_no_win_and_is_counted_apart():
    """Margins 1, 0, -3, 0: one win in four, two ties in four, mean -0.5."""
    figures = reward_figures(torch.tensor([1.0, 2.0, 0.0, 0.5]), torch.tensor([0.0, 2.0, 3.0, 0.5]))
    assert figures == {"reward_margin": -0.5, "reward_accuracy": 0.25, "reward_ties": 0.5}


def test_alternatives_of_a_pair_count_as_one():
    """Margins 1, -3 and -1, of which the first two share the weight of one: -1 and -1."""
    figures = reward_figures(
        torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 3.0, 1.0]), torch.tensor([0.5, 0.5, 1.0])
    )
    assert figures == {"reward_margin": -1.0, "reward_accuracy": 0.25, "reward_ties": 0.0}


def test_the_next_unit_loss_is_per_unit():
    got = next_unit_loss(torch.tensor([-6.0, -1.0]), torch.tensor([3, 1]))
    assert got.tolist() == [2.0, 1.0]

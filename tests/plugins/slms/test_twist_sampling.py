"""One draw, by hand."""

from __future__ import annotations

import torch

from orality import SamplingOptions
from orality_slm_twist.sampling import draw, uniforms

PROBS = torch.tensor([[0.1, 0.4, 0.2, 0.3]])
PLAIN = SamplingOptions(temperature=1.0, top_p=1.0)


def drawn(uniform: float, sampling: SamplingOptions, probs: torch.Tensor = PROBS, **more) -> int:
    return int(draw(probs.log(), torch.tensor([uniform], dtype=torch.float64), sampling, **more))


def test_the_uniform_number_picks_by_cumulated_probability():
    # CDF: .1 .5 .7 1
    assert [drawn(u, PLAIN) for u in (0.0, 0.09, 0.11, 0.49, 0.51, 0.71, 0.999999)] == [
        0, 0, 1, 1, 2, 3, 3,
    ]  # fmt: skip


def test_the_nucleus_keeps_the_fewest_tokens_that_reach_its_mass():
    # the largest are .4 and .3; .7 is reached with both, renormalized CDF: 4/7, 1
    nucleus = SamplingOptions(temperature=1.0, top_p=0.69)
    assert [drawn(u, nucleus) for u in (0.0, 0.57, 0.58, 0.99)] == [1, 1, 3, 3]
    assert drawn(0.99, SamplingOptions(temperature=1.0, top_p=0.01)) == 1


def test_top_k_keeps_the_k_most_likely():
    top = SamplingOptions(temperature=1.0, top_p=1.0, top_k=2)
    assert {drawn(u / 10, top) for u in range(10)} == {1, 3}


def test_temperature_sharpens_and_zero_is_greedy():
    # at temperature .5 the probabilities are squared: .01 .16 .04 .09, CDF .033 .567 .7 1
    cold = SamplingOptions(temperature=0.5, top_p=1.0)
    assert [drawn(u, cold) for u in (0.03, 0.04, 0.56, 0.57, 0.71)] == [0, 1, 1, 2, 3]
    assert drawn(0.99, SamplingOptions(temperature=0.0)) == 1


def test_the_repetition_penalty_reaches_only_what_was_seen():
    # log-probabilities are negative and doubled by a penalty of 2: token 1 falls to .16
    seen = torch.tensor([[False, True, False, False]])
    penalized = SamplingOptions(temperature=0.0, repetition_penalty=2.0)
    assert drawn(0.5, penalized, seen=seen) == 3


def test_a_token_of_no_mass_is_never_drawn():
    probs = torch.tensor([[0.0, 0.5, 0.5, 0.0]])
    assert [drawn(u, PLAIN, probs) for u in (0.0, 1 - 1e-16, 1.0)] == [1, 2, 2]


def test_a_prompts_numbers_depend_on_seed_and_sample_alone():
    assert torch.equal(uniforms(7, 3, 5), uniforms(7, 4, 9)[:3, :5])
    assert not torch.equal(uniforms(7, 1, 5), uniforms(8, 1, 5))
    assert not torch.equal(uniforms(7, 1, 5), uniforms(-7, 1, 5))
    assert uniforms(7, 0, 5).shape == (0, 5)

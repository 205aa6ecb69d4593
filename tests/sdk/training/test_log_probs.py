from __future__ import annotations

import numpy as np
import pytest
import torch

from orality.errors import TrainingError
from orality.training.attention import packed_attention
from orality.training.log_probs import preference_group, sequence_group, sum_log_probs
from orality.types import Units


def group_of(slm, random_units, prompt, *continuations):
    units = [(str(c), random_units(100 * prompt + c, c)) for c in continuations]
    return preference_group(slm, random_units(prompt, prompt), units)


def padded(slm, *groups):
    return sum_log_probs(slm.module, groups, None)


@pytest.fixture(params=["padded", "packed"])
def scored(request, slm):
    """Both ways to compute: (slm, groups) -> sums."""

    def compute(slm, *groups):
        if request.param == "padded":
            return padded(slm, *groups)
        with packed_attention(slm.module) as backend:
            return sum_log_probs(slm.module, groups, backend)

    return compute


def test_together_is_as_one_by_one(slm, random_units, scored):
    groups = [group_of(slm, random_units, *lengths) for lengths in [(3, 5), (20, 40, 8), (1, 1)]]
    together = scored(slm, *groups)
    alone = torch.cat([scored(slm, group) for group in groups])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def test_the_sum_runs_over_the_continuation_only(slm, random_units, scored):
    """Summed by hand from the full log-softmax: token i is predicted at position i - 1."""
    group = group_of(slm, random_units, 4, 3)
    ids = torch.cat([group.prompt, *group.continuations])
    log_probs = slm.module(input_ids=ids[None]).logits[0].log_softmax(-1)
    expected = sum(log_probs[i - 1, ids[i]] for i in (4, 5, 6))
    torch.testing.assert_close(scored(slm, group)[0], expected)


def test_what_the_sampler_records_is_what_training_computes(slm, random_units, scored):
    from orality.types import SamplingOptions

    prompt = random_units(5, 6)
    [[sample]] = slm.generate(
        [prompt], num_samples=1, max_new_units=8, sampling=SamplingOptions(), seeds=[1]
    )
    group = preference_group(slm, prompt, [("a", sample.units)])
    assert scored(slm, group).item() == pytest.approx(sample.log_prob, abs=1e-4)


def test_a_whole_sequence_is_scored_from_its_second_unit(slm, random_units, scored):
    units = random_units(1, 9)
    assert scored(slm, sequence_group(slm, units, name="a")).item() == pytest.approx(
        slm.log_likelihood([units])[0], abs=1e-5
    )


def test_the_gradient_of_a_continuation_is_the_same_beside_others(slm, random_units, scored):
    short, long = group_of(slm, random_units, 3, 4), group_of(slm, random_units, 10, 30, 2)

    def gradient(*groups):
        slm.module.zero_grad()
        scored(slm, *groups)[0].backward()
        return torch.cat([weight.grad.flatten() for weight in slm.module.parameters()])

    torch.testing.assert_close(gradient(short, long), gradient(short), rtol=0, atol=1e-5)


def test_what_does_not_fit_the_context_is_named(slm, random_units):
    with pytest.raises(TrainingError, match="pair 7: 513 tokens do not fit"):
        preference_group(slm, random_units(0, 500), [("pair 7", random_units(1, 13))])


def test_an_empty_part_is_named(slm, random_units):
    empty = Units(np.zeros(0, np.int64))
    with pytest.raises(TrainingError, match="pair 7: the continuation has no units"):
        preference_group(slm, random_units(0, 5), [("pair 7", empty)])
    with pytest.raises(TrainingError, match="pair 7: the prompt has no units"):
        preference_group(slm, empty, [("pair 7", random_units(0, 5))])


def test_bfloat16_models_are_summed_in_float32(slm, random_units, scored):
    group = group_of(slm, random_units, 3, 5, 40)
    exact = scored(slm, group)
    slm.module.to(torch.bfloat16)
    rough = scored(slm, group)
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, rtol=0.01, atol=0)

from __future__ import annotations

import numpy as np
import pytest
import torch

from orality.errors import TrainingError
from orality.training.log_probs import (
    Row,
    continuation_row,
    micro_batches,
    sequence_row,
    sum_log_probs,
)
from orality.types import Units

CPU = torch.device("cpu")


def rows_of(slm, random_units, lengths):
    return [
        continuation_row(slm, random_units(i, p), random_units(100 + i, c), name=str(i))
        for i, (p, c) in enumerate(lengths)
    ]


def test_a_padded_batch_agrees_with_one_by_one(slm, random_units):
    rows = rows_of(slm, random_units, [(3, 5), (20, 40), (1, 1), (7, 2)])
    together = sum_log_probs(slm.module, rows, device=CPU)
    alone = torch.cat([sum_log_probs(slm.module, [row], device=CPU) for row in rows])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def test_the_sum_runs_over_the_continuation_only(slm, random_units):
    """Summed by hand from the full log-softmax: token i is predicted at position i - 1."""
    row = rows_of(slm, random_units, [(4, 3)])[0]
    log_probs = slm.module(input_ids=row.ids[None]).logits[0].log_softmax(-1)
    expected = sum(log_probs[i - 1, row.ids[i]] for i in (4, 5, 6))
    torch.testing.assert_close(sum_log_probs(slm.module, [row], device=CPU)[0], expected)


def test_what_the_sampler_records_is_what_training_computes(slm, random_units):
    from orality.types import SamplingOptions

    prompt = random_units(5, 6)
    [[sample]] = slm.generate(
        [prompt], num_samples=1, max_new_units=8, sampling=SamplingOptions(), seeds=[1]
    )
    row = continuation_row(slm, prompt, sample.units, name="a")
    assert sum_log_probs(slm.module, [row], device=CPU).item() == pytest.approx(
        sample.log_prob, abs=1e-4
    )


def test_a_whole_sequence_is_scored_from_its_second_unit(slm, random_units):
    units = random_units(1, 9)
    row = sequence_row(slm, units, name="a")
    assert row.scored == 8
    assert sum_log_probs(slm.module, [row], device=CPU).item() == pytest.approx(
        slm.log_likelihood([units])[0], abs=1e-5
    )


def test_it_can_be_differentiated(slm, random_units):
    rows = rows_of(slm, random_units, [(3, 5), (2, 9)])
    sum_log_probs(slm.module, rows, device=CPU).sum().backward()
    assert any(weight.grad.abs().sum() > 0 for weight in slm.module.parameters())


def test_padding_gets_no_gradient_through_other_rows(slm, random_units):
    """A row's gradient is the same whether a longer row pads it or not."""
    short, long = rows_of(slm, random_units, [(3, 4), (10, 30)])

    def gradient(rows):
        slm.module.zero_grad()
        sum_log_probs(slm.module, rows, device=CPU)[0].backward()
        return torch.cat([weight.grad.flatten() for weight in slm.module.parameters()])

    torch.testing.assert_close(gradient([short, long]), gradient([short]), rtol=0, atol=1e-5)


def test_micro_batches_hold_neighbors_in_length_and_start_with_the_longest():
    assert micro_batches([5, 1, 9, 5, 2], 2, length=lambda item: item) == [[2, 0], [3, 4], [1]]


def test_what_does_not_fit_the_context_is_named(slm, random_units):
    with pytest.raises(TrainingError, match="pair 7: 513 tokens do not fit"):
        continuation_row(slm, random_units(0, 500), random_units(1, 13), name="pair 7")


def test_an_empty_part_is_named(slm, random_units):
    empty = Units(np.zeros(0, np.int64))
    with pytest.raises(TrainingError, match="pair 7: the continuation has no units"):
        continuation_row(slm, random_units(0, 5), empty, name="pair 7")
    with pytest.raises(TrainingError, match="pair 7: the prompt has no units"):
        continuation_row(slm, empty, random_units(0, 5), name="pair 7")


def test_a_continuation_of_one_unit_is_scored(slm, random_units):
    row = continuation_row(slm, random_units(0, 5), random_units(1, 1), name="a")
    assert row.scored == 1
    assert sum_log_probs(slm.module, [row], device=CPU).item() < 0


def test_bfloat16_models_are_summed_in_float32(slm, random_units):
    rows = rows_of(slm, random_units, [(3, 5), (2, 40)])
    exact = sum_log_probs(slm.module, rows, device=CPU)
    rough = sum_log_probs(slm.module.to(torch.bfloat16), rows, device=CPU)
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, rtol=0.01, atol=0)


def test_a_row_counts_what_it_scores():
    assert Row(torch.arange(10), 4).scored == 6

from __future__ import annotations

import logging

import pytest
import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from orality.errors import TrainingError
from orality.training.adapter import add_adapter
from orality.training.attention import choose_attention, offer_attention
from orality.training.log_probs import continuation_row, sum_log_probs

CPU = torch.device("cpu")


@pytest.fixture
def rows(slm, random_units):
    return [
        continuation_row(slm, random_units(i, 3 + 9 * i), random_units(i + 50, 8 + i), name="a")
        for i in range(4)
    ]


def test_sdpa_agrees_with_eager_in_float64(slm, rows):
    module = slm.module.double()
    sums = {}
    for backend in ("eager", "sdpa"):
        assert choose_attention(module, backend) == backend
        sums[backend] = sum_log_probs(module, rows, device=CPU)
    torch.testing.assert_close(sums["sdpa"], sums["eager"], rtol=0, atol=1e-5)


def test_automatic_takes_sdpa_and_says_so(slm, caplog):
    with caplog.at_level(logging.INFO):
        assert choose_attention(slm.module) == "sdpa"
    assert "attention: sdpa" in caplog.text
    assert slm.module.config._attn_implementation == "sdpa"


def test_it_reaches_through_an_adapter(slm):
    module = add_adapter(slm).module
    choose_attention(module, "eager")
    assert slm.module.config._attn_implementation == "eager"


def test_an_offered_function_is_run(slm, rows):
    calls = []

    def counted(module, query, key, value, attention_mask, **kwargs):
        calls.append(query.shape)
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)

    expected = sum_log_probs(slm.module, rows, device=CPU)
    offer_attention("counted", counted)
    assert choose_attention(slm.module, "counted") == "counted"
    torch.testing.assert_close(sum_log_probs(slm.module, rows, device=CPU), expected)
    assert len(calls) == 2  # layers


def test_an_unknown_name_is_refused(slm):
    with pytest.raises(TrainingError, match="'sdpo' is unknown"):
        choose_attention(slm.module, "sdpo")


def test_a_built_in_name_cannot_be_taken():
    with pytest.raises(ValueError, match="built in"):
        offer_attention("sdpa", sdpa_attention_forward)


def test_a_module_of_ones_own_keeps_its_attention():
    module = torch.nn.Linear(2, 2)
    assert choose_attention(module) == "own"
    with pytest.raises(TrainingError, match="no transformers model"):
        choose_attention(module, "eager")

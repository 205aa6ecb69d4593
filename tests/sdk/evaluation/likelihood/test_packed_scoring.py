"""Packed scores are the model's own, whatever a pair has in common."""

from __future__ import annotations

import logging
import math

import numpy as np
import pytest
import torch
from evaluation_fakes import UnigramSLM, melody

from orality.errors import EvaluationError
from orality.evaluation import log_likelihoods
from orality.evaluation.likelihood.packed_scoring import in_rows, packed_scoring, packed_tokens
from orality.models.cpu_linears import prepacked_linears
from orality.testing.toy_slm import random_slm

PAIRS = [
    (melody(1, 2, 3, 4, 5), melody(1, 2, 3, 9, 8, 7, 6)),  # a common beginning
    (melody(1, 2, 3), melody(4, 5, 6)),  # none
    (melody(1, 2, 3), melody(1, 2, 3, 4, 5)),  # one begins the other
    (melody(1, 2, 3, 4, 5), melody(1, 2, 3, 4)),  # and the other way round
    (melody(7, 8), melody(7, 9)),  # the beginning is a single unit
    (melody(3, 1, 4, 1, 5), melody(3, 1, 4, 1, 5)),  # the same
]


@pytest.mark.parametrize("convention", ["no_bos", "bos_eos"])
@pytest.mark.parametrize("max_tokens", [1, 12, 2048])
def test_packed_scores_are_those_of_the_model(convention, max_tokens):
    slm = random_slm()
    found = log_likelihoods(slm, PAIRS, convention=convention, max_tokens=max_tokens)
    for (first, second), totals in zip(PAIRS, found, strict=True):
        wanted = slm.log_likelihood([first, second], convention=convention)
        assert totals == pytest.approx(wanted, abs=1e-4)


def test_random_pairs_score_as_they_do_alone():
    slm, rng = random_slm(3), np.random.default_rng(0)
    pairs = []
    for _ in range(60):
        start, *ends = (rng.integers(0, 20, rng.integers(1, 25)).tolist() for _ in range(3))
        pairs.append(tuple(melody(*start, *end) for end in ends))
    found = log_likelihoods(slm, pairs, max_tokens=150)
    wanted = [tuple(slm.log_likelihood(list(pair))) for pair in pairs]
    np.testing.assert_allclose(found, wanted, atol=2e-4)


def test_the_same_units_tie_to_the_last_bit():
    slm = random_slm()
    for first, second in log_likelihoods(slm, PAIRS[::-1], max_tokens=2048)[:1]:
        assert first == second
        assert math.isfinite(first)


def test_the_common_beginning_takes_its_place_once():
    assert [packed_tokens(pair) for pair in PAIRS] == [9, 6, 5, 5, 3, 5]
    assert packed_tokens((melody(), melody(1))) == 1


def test_rows_are_filled_in_order_and_never_empty():
    assert list(in_rows([3, 3, 3, 9, 1, 1], 7)) == [(0, 2), (2, 3), (3, 4), (4, 6)]
    assert list(in_rows([], 7)) == []


def test_the_model_is_left_as_it_was():
    slm = random_slm()
    slm.module.train()
    before = slm.module.config._attn_implementation
    log_likelihoods(slm, PAIRS)
    assert slm.module.training
    assert slm.module.config._attn_implementation == before
    assert not any("forward" in part.__dict__ for part in slm.module.modules())


def test_a_model_that_scores_in_its_own_way_is_believed(caplog):
    slm = random_slm()
    plain = slm.log_likelihood
    slm.log_likelihood = lambda batch, *, convention="no_bos": [
        2 * value for value in plain(batch, convention=convention)
    ]
    with caplog.at_level(logging.WARNING):
        found = log_likelihoods(slm, PAIRS[:1])
    assert found == [pytest.approx([2 * value for value in plain(list(PAIRS[0]))])]
    assert "disagree" in caplog.text


def test_a_model_without_a_module_is_asked_itself():
    slm = UnigramSLM()
    assert log_likelihoods(slm, PAIRS[:2]) == [
        tuple(slm.log_likelihood(list(pair))) for pair in PAIRS[:2]
    ]


def test_a_model_that_keeps_its_special_tokens_to_itself_is_asked_with_bos_and_eos():
    slm = random_slm()

    class Reserved:
        unit_spec, module = slm.unit_spec, slm.module
        to_input_ids, log_likelihood = slm.to_input_ids, slm.log_likelihood

    (found,) = log_likelihoods(Reserved(), PAIRS[:1], convention="bos_eos")
    assert found == tuple(slm.log_likelihood(list(PAIRS[0]), convention="bos_eos"))
    with packed_scoring(Reserved(), "no_bos", PAIRS[:1]) as score:
        assert score.__name__ == "<lambda>"  # packed


@pytest.mark.parametrize(("convention", "least"), [("no_bos", 2), ("bos_eos", 1)])
def test_recordings_of_which_nothing_is_predicted_are_refused(convention, least):
    pair = (melody(*range(least - 1)), melody(1, 2, 3))
    with pytest.raises(EvaluationError, match=f"needs {least} units"):
        log_likelihoods(random_slm(), [pair], convention=convention)


def test_no_pairs_have_no_scores():
    assert log_likelihoods(random_slm(), []) == []


def test_prepacked_layers_compute_the_same_and_are_given_back():
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(7, 5), torch.nn.Linear(5, 3, bias=False))
    values = torch.randn(4, 2, 7)
    with torch.inference_mode():
        wanted = module(values)
        with prepacked_linears(module) as count:
            assert count in (0, 2)
            torch.testing.assert_close(module(values), wanted)
            assert module(values[:0]).shape == (0, 2, 3)
        assert torch.equal(module(values), wanted)
        with prepacked_linears(module, most_bytes=199) as count:
            assert count == 0  # 50 numbers take 200 bytes

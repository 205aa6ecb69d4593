from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, OPTConfig, OPTForCausalLM

from orality.training.adapter import adapted
from orality.training.attention import packed_attention
from orality.training.devices.precision import autocast, cast_once
from orality.training.log_probs import sum_log_probs
from orality.training.rows.packing import Group

GROUPS = [
    Group(torch.arange(3, 9), (torch.arange(4, 20), torch.arange(7, 12))),
    Group(torch.arange(5, 7), (torch.arange(9, 16),)),
]


def llama(*, tied: bool) -> nn.Module:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=40, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=tied,
        )
    ).eval()  # fmt: skip


def opt() -> nn.Module:
    torch.manual_seed(0)
    config = OPTConfig(
        vocab_size=40, hidden_size=32, ffn_dim=64, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=64, word_embed_proj_dim=32, dropout=0.0,
    )  # fmt: skip
    return OPTForCausalLM(config).eval()


def score_and_gradients(module: nn.Module, *, once: bool) -> tuple[torch.Tensor, list]:
    """Packed sums in bfloat16, and the gradients of everything trainable."""
    with packed_attention(module) as backend, cast_once(module, "bfloat16" if once else "float32"):
        module.zero_grad()
        with autocast(torch.device("cpu"), "bfloat16"):
            sums = sum_log_probs(module, GROUPS, backend)
        sums.sum().backward()
    return sums, [w.grad.clone() for w in module.parameters() if w.grad is not None]


@pytest.fixture(params=["opt", "llama", "tied llama"])
def policy(request, slm):
    module = opt() if request.param == "opt" else llama(tied=request.param == "tied llama")
    with adapted(slm.with_module(module), r=4, alpha=8, dropout=0.0, seed=0) as policy:
        for name, weight in policy.module.named_parameters():
            if "lora_B" in name:  # zero at first, which would hide half of the gradients
                torch.nn.init.normal_(weight, std=0.02)
        yield policy


def test_casting_once_computes_what_autocast_computes(policy):
    expected, theirs = score_and_gradients(policy.module, once=False)
    got, ours = score_and_gradients(policy.module, once=True)
    torch.testing.assert_close(got, expected, rtol=0, atol=0)
    # Gradients of a shared cast are summed in bfloat16: 8 bits.
    for one, other in zip(ours, theirs, strict=True):
        scale = other.abs().max()
        torch.testing.assert_close(one / scale, other / scale, rtol=0, atol=2e-2)


def test_frozen_linear_weights_are_held_in_half_and_all_is_given_back(policy):
    module = policy.module
    before = {name: (weight, weight.data) for name, weight in module.named_parameters()}
    with cast_once(module, "bfloat16"):
        during = {name: weight.dtype for name, weight in module.named_parameters()}
    embedding = module.get_input_embeddings().weight
    head = module.get_output_embeddings().weight
    for name, dtype in during.items():
        trained = "lora_" in name
        linear = "_proj" in name or ".fc" in name or "lm_head" in name
        half = linear and not trained and before[name][0] is not embedding
        assert dtype == (torch.bfloat16 if half else torch.float32), name
    assert (head is embedding) == (during.get("base_model.model.lm_head.weight") is None)
    for name, weight in module.named_parameters():
        assert weight is before[name][0]
        assert weight.data.data_ptr() == before[name][1].data_ptr()
    assert not any(part._forward_pre_hooks for part in module.modules())


def test_float32_is_left_as_it_is(policy):
    with cast_once(policy.module, "float32"):
        assert {weight.dtype for weight in policy.module.parameters()} == {torch.float32}


def test_an_error_gives_the_weights_back(policy):
    with pytest.raises(RuntimeError, match="inside"), cast_once(policy.module, "bfloat16"):
        raise RuntimeError("inside")
    assert {weight.dtype for weight in policy.module.parameters()} == {torch.float32}

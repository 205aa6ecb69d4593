from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from orality.errors import TrainingError
from orality.training.attention import packed_attention
from orality.training.log_probs import sum_log_probs
from orality.training.rows.packing import Branch, Group, fill_rows, pack

VOCABULARY = 31
SMALL = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}
ROTARY = {**SMALL, "intermediate_size": 32, "num_key_value_heads": 2}
LEARNED = {**SMALL, "ffn_dim": 32, "dropout": 0.0, "attention_dropout": 0.0}


def opt(**options):
    return OPTForCausalLM(OPTConfig(**{**LEARNED, "word_embed_proj_dim": 16, **options}))


FAMILIES = {
    "OPT": opt,
    "OPT with norms behind": lambda: opt(word_embed_proj_dim=8, do_layer_norm_before=False),
    "Llama": lambda: LlamaForCausalLM(LlamaConfig(**ROTARY)),
    "Qwen": lambda: Qwen2ForCausalLM(Qwen2Config(**ROTARY)),
}


def in_its_own_precision(part: nn.Module) -> nn.Module:
    """The rotary families' norms compute in float32 whatever they are given; these do not."""
    for name, child in part.named_children():
        if type(child).__name__.endswith("RMSNorm"):
            norm = nn.RMSNorm(child.weight.shape, eps=child.variance_epsilon)
            setattr(part, name, norm)
        in_its_own_precision(child)
    return part


def model(family: str, dtype: torch.dtype) -> nn.Module:
    torch.manual_seed(0)
    return in_its_own_precision(FAMILIES[family]()).to(dtype).eval()


def tokens(*ids: int) -> torch.Tensor:
    return torch.tensor(ids)


continuation = st.lists(st.integers(3, VOCABULARY - 1), min_size=1, max_size=20).map(torch.tensor)
group = st.builds(
    Group, continuation, st.lists(continuation, min_size=1, max_size=4).map(tuple)
)  # prompts have the same lengths, from 1 up


def sums_and_gradient(module, groups, backend):
    module.zero_grad()
    sums = sum_log_probs(module, groups, backend)
    # Weights that differ, so that a mix-up of continuations would show in the gradient.
    (sums * torch.arange(1, len(sums) + 1)).sum().backward()
    gradients = [weight.grad.flatten() for weight in module.parameters() if weight.requires_grad]
    return sums.detach(), torch.cat(gradients)


@pytest.mark.parametrize("backend", ["eager", "sdpa"])
@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=15, deadline=None)
@given(groups=st.lists(group, min_size=1, max_size=4))
def test_a_packed_row_equals_padded_sequences(family, backend, groups):
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
        module = model(family, dtype)
        expected_sums, expected = sums_and_gradient(module, groups, None)
        with packed_attention(module, backend) as attention:
            sums, gradient = sums_and_gradient(module, groups, attention)
        torch.testing.assert_close(sums, expected_sums, rtol=tolerance, atol=0)
        scale = expected.abs().max()
        torch.testing.assert_close(gradient / scale, expected / scale, rtol=0, atol=tolerance)


def test_a_row_is_laid_out_as_written_down_by_hand():
    """Prompts (5 6) with (7 8 9) and (10), and (11) with (12 13).

    Read: 5 6 | 7 8 | 11 | 12, the last token of each continuation is only predicted. Place 1 (the
    6) predicts 7 and 10, place 2 predicts 8, place 3 predicts 9, places 4 and 5 predict 12 and 13.
    """
    row = pack(
        [
            Group(tokens(5, 6), (tokens(7, 8, 9), tokens(10))),
            Group(tokens(11), (tokens(12, 13),)),
        ]
    )
    assert row.ids.tolist() == [5, 6, 7, 8, 11, 12]
    assert row.positions.tolist() == [0, 1, 2, 3, 0, 1]
    assert row.places.tolist() == [1, 2, 3, 1, 4, 5]
    assert row.targets.tolist() == [7, 8, 9, 10, 12, 13]
    assert row.owners.tolist() == [0, 0, 0, 1, 2, 2]
    assert row.layout.branches == (
        Branch((0, 2), (2, 4), leads=True),
        Branch((0, 2), (4, 4), leads=False),
        Branch((4, 5), (5, 6), leads=True),
    )


def test_a_group_counts_the_places_it_takes():
    """2 of the prompt, 3 - 1 and 1 - 1 of the continuations."""
    some = Group(tokens(5, 6), (tokens(7, 8, 9), tokens(10)))
    assert some.tokens == 4
    assert len(pack([some]).ids) == some.tokens


@given(
    sizes=st.lists(st.integers(1, 50), max_size=40),
    max_tokens=st.integers(50, 120),
)
def test_rows_hold_every_group_once_and_stay_within_the_budget(sizes, max_tokens):
    rows = fill_rows(sizes, max_tokens)
    assert sorted(index for row in rows for index in row) == list(range(len(sizes)))
    loads = [sum(sizes[index] for index in row) for row in rows]
    assert all(load <= max_tokens for load in loads)
    assert loads == sorted(loads, reverse=True)
    # First fit: no two rows could have been one.
    assert all(a + b > max_tokens for i, a in enumerate(loads) for b in loads[i + 1 :])


def test_the_largest_groups_are_placed_first():
    """10 takes a row, 7 + 3 fill the next, 6 + 2 the last; the fullest come first."""
    assert fill_rows([3, 7, 2, 10, 6], 10) == [[3], [1, 0], [4, 2]]


def test_a_group_above_the_budget_is_refused_rather_than_split():
    with pytest.raises(TrainingError, match=r"takes 11 tokens.*max_tokens=10; .*to 11 or more"):
        fill_rows([3, 11], 10)

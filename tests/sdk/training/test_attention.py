from __future__ import annotations

import logging
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from orality.errors import TrainingError
from orality.training.adapter import add_adapter
from orality.training.attention import offer_attention, packed_attention, visible
from orality.training.attention.eager import eager
from orality.training.attention.flex import block_mask, flex
from orality.training.attention.sdpa import sdpa
from orality.training.attention.xformers import block_bias, has_kernels, xformers
from orality.training.log_probs import sum_log_probs
from orality.training.rows.packing import Branch, Group, Layout, pack

CPU = torch.device("cpu")


def layout_of(*groups: tuple[int, ...]) -> Layout:
    """Groups as (prompt length, continuation lengths ...)."""
    zeros = [torch.zeros(length, dtype=torch.int64) for length in range(200)]
    return pack([Group(zeros[p], tuple(zeros[c] for c in cs)) for p, *cs in groups]).layout


layouts = st.lists(
    st.lists(st.integers(1, 12), min_size=2, max_size=5).map(tuple), min_size=1, max_size=4
).map(lambda groups: layout_of(*groups))


def parts(layout: Layout, heads: int = 4, key_heads: int = 2):
    torch.manual_seed(layout.tokens)
    make = lambda count: torch.randn(count, layout.tokens, 8, dtype=torch.float64)  # noqa: E731
    return make(heads), make(key_heads), make(key_heads)


def explicit(layout: Layout, device: torch.device):
    """Attention by the book, with the mask over the whole row: what every backend has to equal."""
    mask = visible(layout).to(device)

    def attend(query, key, value, *, scaling):
        shared = query.shape[0] // key.shape[0]
        key, value = (part.repeat_interleave(shared, dim=0) for part in (key, value))
        scores = (query @ key.transpose(1, 2)) * scaling
        weights = scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)
        return (weights @ value).transpose(0, 1)

    return attend


def test_who_sees_whom_is_as_drawn_by_hand():
    """Prompt of 2, continuations that read 2 and 1, then a prompt of 1 alone with one unit."""
    drawn = [
        "x.....",
        "xx....",
        "xxx...",
        "xxxx..",
        "xx..x.",
        ".....x",
    ]
    expected = torch.tensor([[mark == "x" for mark in line] for line in drawn])
    assert visible(layout_of((2, 3, 2), (1, 1))).equal(expected)


@pytest.mark.parametrize("backend", [eager, sdpa])
@settings(deadline=None)
@given(layouts)
def test_what_runs_everywhere_computes_what_the_explicit_mask_says(backend, layout):
    query, key, value = parts(layout)
    expected = explicit(layout, CPU)(query, key, value, scaling=0.3)
    got = backend(layout, CPU)(query, key, value, scaling=0.3)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)


@settings(deadline=None, max_examples=30)
@given(layouts)
def test_the_block_mask_of_flex_is_the_explicit_mask(layout):
    mask = block_mask(layout, CPU)
    places = torch.arange(layout.tokens)
    got = mask.mask_mod(torch.tensor(0), torch.tensor(0), places[:, None], places[None, :])
    assert got.equal(visible(layout))


@settings(deadline=None, max_examples=30)
@given(layouts)
def test_the_bias_of_xformers_is_the_explicit_mask(layout):
    bias, keys = block_bias(layout, CPU)
    allowed = bias.materialize((layout.tokens, len(keys))) == 0
    got = torch.zeros(layout.tokens, layout.tokens, dtype=torch.bool)
    for query in range(layout.tokens):
        got[query, keys[allowed[query]]] = True
    assert got.equal(visible(layout))


def test_every_block_of_the_bias_ends_where_its_keys_end():
    """Prompt of 3, reads of 4, 0 and 2: the queries are 3 + 4 and 2, the keys 3 + 4 and 3 + 2."""
    bias, keys = block_bias(layout_of((3, 5, 1, 3)), CPU)
    assert [b - a for a, b in pairwise(bias.q_seqinfo.seqstart_py)] == [7, 2]
    assert [b - a for a, b in pairwise(bias.k_seqinfo.seqstart_py)] == [7, 5]
    assert keys.tolist() == [0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 7, 8]


@pytest.mark.gpu
@pytest.mark.parametrize("backend", [eager, sdpa, xformers, flex])
@pytest.mark.parametrize("key_heads", [2, 4])
def test_on_a_gpu_each_backend_agrees_with_the_explicit_mask(backend, key_heads):
    layout = layout_of((60, 150, 90), (17, 33, 1, 40), (5, 7))
    cuda = torch.device("cuda")
    torch.manual_seed(0)
    make = lambda count: torch.randn(count, layout.tokens, 64, device=cuda)  # noqa: E731
    exact = [part.requires_grad_() for part in (make(4), make(key_heads), make(key_heads))]
    rough = [part.detach().bfloat16().requires_grad_() for part in exact]
    expected = explicit(layout, cuda)(*exact, scaling=0.125)
    got = backend(layout, cuda)(*rough, scaling=0.125)
    torch.testing.assert_close(got.float(), expected, rtol=0, atol=2e-2)
    expected.square().sum().backward()
    got.float().square().sum().backward()
    for one, other in zip(rough, exact, strict=True):
        scale = other.grad.abs().max()
        torch.testing.assert_close(one.grad / scale, other.grad / scale, rtol=0, atol=2e-2,
                                   check_dtype=False)  # fmt: skip


@pytest.fixture
def groups():
    return [Group(torch.arange(3, 8), (torch.arange(4, 9), torch.arange(5, 15)))]


def test_xformers_has_kernels_only_where_one_goes_forward_and_one_backward(monkeypatch):
    from xformers.ops import fmha

    class Willing:
        @staticmethod
        def supports(row):
            # Two continuations of one unit's read each, after a prompt of two.
            return row.query.shape[1] == 4 and row.key.shape[1] == 3 + 3

    assert not has_kernels(CPU)
    monkeypatch.setattr(fmha, "ALL_FW_OPS", [*fmha.ALL_FW_OPS, Willing])
    assert not has_kernels(CPU)
    monkeypatch.setattr(fmha, "ALL_BW_OPS", [*fmha.ALL_BW_OPS, Willing])
    assert has_kernels(CPU)


def test_automatic_takes_eager_on_a_cpu_and_says_so(slm, caplog):
    with caplog.at_level(logging.INFO), packed_attention(slm.module) as backend:
        assert backend is eager
    assert caplog.text.count("attention: eager on cpu") == 1


def test_the_models_own_attention_comes_back(slm):
    before = slm.module.config._attn_implementation

    def fail():
        with packed_attention(slm.module, "eager"):
            assert slm.module.config._attn_implementation != before
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert slm.module.config._attn_implementation == before


def test_it_reaches_through_an_adapter(slm, groups):
    module = add_adapter(slm).module
    expected = sum_log_probs(module, groups, None)
    with packed_attention(module, "eager") as backend:
        torch.testing.assert_close(sum_log_probs(module, groups, backend), expected)


def test_an_offered_backend_is_run(slm, groups):
    calls = []

    def counted(layout, device):
        attend = sdpa(layout, device)

        def attend_and_count(query, key, value, *, scaling):
            calls.append(query.shape)
            return attend(query, key, value, scaling=scaling)

        return attend_and_count

    offer_attention("counted", counted)
    expected = sum_log_probs(slm.module, groups, None)
    with packed_attention(slm.module, "counted") as backend:
        torch.testing.assert_close(sum_log_probs(slm.module, groups, backend), expected)
    assert len(calls) == 2  # layers


def test_an_unknown_name_is_refused(slm):
    with (
        pytest.raises(TrainingError, match="'sdpo' is unknown; wanted 'auto', 'eager', 'sdpa'"),
        packed_attention(slm.module, "sdpo"),
    ):
        pass


def test_a_built_in_name_cannot_be_taken():
    with pytest.raises(ValueError, match="built in"):
        offer_attention("sdpa", sdpa)


@pytest.mark.parametrize("name", ["xformers", "flex"])
def test_a_backend_without_kernels_for_the_device_is_refused(name, slm, groups):
    with (
        pytest.raises(TrainingError, match=rf"attention '{name}' "),
        packed_attention(slm.module, name) as backend,
    ):
        sum_log_probs(slm.module, groups, backend)


def test_a_mask_beside_the_rows_own_is_refused(slm):
    ids = torch.arange(3, 9)[None]
    with packed_attention(slm.module):
        with pytest.raises(TrainingError, match="without another"):
            slm.module(input_ids=ids, attention_mask=torch.ones_like(ids))
        with pytest.raises(TrainingError, match="without a packed row"):
            slm.module(input_ids=ids)


def test_a_window_that_hides_tokens_is_refused(slm):
    layout = Layout(4, (Branch((0, 2), (2, 4), leads=True),))
    from orality.training.attention.choice import _attend

    part = torch.randn(1, 2, 4, 8)
    attend = sdpa(layout, CPU)
    _attend(slm.module, part, part, part, None, packing=attend, sliding_window=4)
    with pytest.raises(TrainingError, match="does not know this model's sliding_window"):
        _attend(slm.module, part, part, part, None, packing=attend, sliding_window=3)


def test_a_module_of_ones_own_keeps_its_attention():
    module = torch.nn.Linear(2, 2)
    with packed_attention(module) as backend:
        assert backend is None
    with (
        pytest.raises(TrainingError, match="no transformers model"),
        packed_attention(module, "eager"),
    ):
        pass

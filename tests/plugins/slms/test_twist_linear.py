"""Joined and packed linear layers against torch's own, and against themselves in other batches."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from orality_slm_twist.linear import PackedLinear, PlainLinear, joined, packing_available


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_joined_layers_give_what_each_gives(dtype) -> None:
    torch.manual_seed(0)
    layers = [nn.Linear(24, 16), nn.Linear(24, 8, bias=False), nn.Linear(24, 40)]
    layers = [layer.to(dtype) for layer in layers]
    rows, residual = torch.randn(5, 24, dtype=dtype), torch.randn(5, 64, dtype=dtype)
    with torch.inference_mode():
        wanted = torch.cat([layer(rows) for layer in layers], -1)
        found = joined(layers)
        close = {"rtol": 0, "atol": 1e-5 if dtype == torch.float32 else 0.02}
        torch.testing.assert_close(found(rows), wanted, **close)
        torch.testing.assert_close(found.relu(rows), wanted.relu(), **close)
        torch.testing.assert_close(found.added(rows, residual), wanted + residual, **close)
    kind = PackedLinear if dtype == torch.float32 and packing_available() else PlainLinear
    assert isinstance(found, kind)


@pytest.mark.skipif(not packing_available(), reason="this torch has no oneDNN")
def test_a_rows_outputs_hardly_depend_on_the_number_of_rows() -> None:
    torch.manual_seed(0)
    layer = joined([nn.Linear(300, 70)])
    rows = torch.randn(50, 300)
    with torch.inference_mode():
        every = layer(rows)
        for count in (1, 2, 3, 17):
            torch.testing.assert_close(layer(rows[:count]), every[:count], rtol=0, atol=1e-5)

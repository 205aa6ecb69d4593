from __future__ import annotations

import functools

import pytest
import torch
from torch._dynamo.utils import counters

from orality.training import Lora, Settings, read_metrics, train_dpo


@pytest.fixture
def compiled_graphs(monkeypatch):
    """Compile without generating code, which takes a minute, and count what was compiled."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    torch._dynamo.reset()
    counters.clear()
    yield lambda: counters["stats"]["unique_graphs"]
    torch._dynamo.reset()


def test_a_compiled_model_trains_alike_and_is_not_compiled_for_every_row(
    slm, make_pairs, tmp_path, compiled_graphs
):
    def losses(steps, *, on):
        out = tmp_path / f"{steps}-{on}"
        settings = Settings(
            learning_rate=1e-2, warmup_steps=0, steps=steps, items_per_step=6, max_tokens=48,
            compile=on,
        )  # fmt: skip
        train_dpo(slm, make_pairs(40), out=out, settings=settings, lora=Lora(r=4))
        return [line["loss"] for line in read_metrics(out / "metrics.jsonl")]

    assert losses(8, on=True) == pytest.approx(losses(8, on=False), rel=1e-5)
    seen = compiled_graphs()
    assert seen > 0
    losses(9, on=True)  # other rows
    assert compiled_graphs() == seen

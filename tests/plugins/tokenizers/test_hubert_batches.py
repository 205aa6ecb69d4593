"""Batches of recordings: no neighbor, no thread and no equal length may change an item's units."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import HubertConfig, HubertModel, WavLMConfig, WavLMModel

from orality import UnitSpec, Waveform
from orality_tokenizer_hubert.encoders import Encoder
from orality_tokenizer_hubert.parallel import in_parallel
from orality_tokenizer_hubert.tokenizer import HubertTokenizer

WIDTH = 32
SMALL = {
    "hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 48, "conv_dim": [16] * 7, "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}  # fmt: skip
MODELS = ("hubert", "batch norm", "wavlm")


@cache
def model(name: str) -> Any:
    torch.manual_seed(0)
    if name == "wavlm":
        return WavLMModel(WavLMConfig(**SMALL)).eval()
    return HubertModel(HubertConfig(**SMALL, conv_pos_batch_norm=name == "batch norm")).eval()


def tokenizer(
    name: str, *, together: bool, table: torch.Tensor | None = None, seconds: float = 1.0
) -> HubertTokenizer:
    passes.clear()

    def forward(samples: torch.Tensor) -> torch.Tensor:
        passes.append(tuple(samples.shape))
        found: torch.Tensor = model(name)(samples).last_hidden_state
        return found

    if table is None:
        table = torch.randn((50, WIDTH), generator=torch.Generator().manual_seed(0))
    return HubertTokenizer(
        Encoder(forward, 400), table, unit_spec=UnitSpec("some", len(table), 50.0),
        max_chunk_seconds=seconds, together=together,
    )  # fmt: skip


passes: list[tuple[int, ...]] = []


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def noise(samples: int, seed: int) -> Waveform:
    drawn = np.random.default_rng(seed).standard_normal(samples)
    return Waveform((0.1 * drawn).astype(np.float32), 16_000)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("together", [True, False])
@settings(max_examples=8, deadline=None)
@given(
    items=st.lists(
        st.tuples(st.sampled_from([0, 399, 400, 4_000, 9_999, 20_000]), st.integers(0, 9)),
        max_size=7,
    )
)
def test_encoding_a_batch_is_encoding_each_item(
    name: str, together: bool, items: list[tuple[int, int]]
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        encoder = tokenizer(name, together=together)
        waves = [noise(length, seed) for length, seed in items]
        found = encoder.encode(waves)
        alone = [encoder.encode([wave])[0] for wave in waves]
    finally:
        torch.set_num_threads(before)
    assert [units.ids.tolist() for units in found] == [units.ids.tolist() for units in alone]
    for units, expected in zip(found, alone, strict=True):
        np.testing.assert_array_equal(units.durations, expected.durations)


def test_padding_would_change_units() -> None:
    """The property above is worth testing: with zeros behind them, recordings have other units."""
    encoder = tokenizer("hubert", together=True)
    wave = noise(8_000, 0)
    longer = Waveform(np.concatenate([wave.samples, np.zeros(8_000, np.float32)]), 16_000)
    ids = encoder.frame_units(wave)
    assert (encoder.frame_units(longer)[: len(ids)] != ids).any()


def test_recordings_of_equal_length_share_a_pass() -> None:
    encoder = tokenizer("hubert", together=True)
    encoder.encode([noise(4_000, 0), noise(5_000, 1), noise(4_000, 2)])
    assert sorted(passes) == [(1, 5_000), (2, 4_000)]


def test_pieces_of_long_recordings_share_a_pass() -> None:
    encoder = tokenizer("hubert", together=True)
    encoder.encode([noise(40_000, 0)])
    assert sorted(passes) == [(1, 8_000), (2, 16_000)]


def test_a_near_tie_is_settled_alone() -> None:
    """Each centroid twice: every frame is a tie, and only a pass alone may break it."""
    base = torch.randn((50, WIDTH), generator=torch.Generator().manual_seed(0))
    encoder = tokenizer("hubert", together=True, table=torch.cat([base, base]))
    waves = [noise(4_000, 0), noise(4_000, 1)]
    found = encoder.encode(waves)
    assert passes == [(2, 4_000), (1, 4_000), (1, 4_000)]
    for wave, units in zip(waves, found, strict=True):
        np.testing.assert_array_equal(units.ids, encoder.encode([wave])[0].ids)


def test_one_centroid_needs_no_second() -> None:
    encoder = tokenizer("hubert", together=True, table=torch.zeros(1, WIDTH))
    found = encoder.encode([noise(4_000, 0), noise(4_000, 1)])
    assert [units.ids.tolist() for units in found] == [[0], [0]]


def test_work_side_by_side_keeps_its_order(threads: int) -> None:
    used: set[int] = set()

    def square(number: int) -> int:
        used.add(threading.get_ident())
        return number * number

    assert in_parallel(square, list(range(9)), costs=list(range(9))) == [n * n for n in range(9)]
    assert in_parallel(square, [], costs=[]) == []
    assert torch.get_num_threads() == threads
    assert len(used) <= threads + 1


def test_an_error_in_a_thread_is_raised_and_the_threads_are_given_back(threads: int) -> None:
    def fail(number: int) -> int:
        raise ValueError(f"item {number}")

    with pytest.raises(ValueError, match="item"):
        in_parallel(fail, [1, 2, 3], costs=[1, 1, 1])
    assert torch.get_num_threads() == threads

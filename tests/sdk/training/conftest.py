from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from orality.testing.toy import UNIT_SPEC
from orality.testing.toy_slm import ToySLM, random_slm
from orality.types import PreferencePair, Units

GOOD, BAD = 3, 7


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def slm() -> ToySLM:
    return random_slm(seed=0)


@pytest.fixture
def random_units() -> Callable[[int, int], Units]:
    def make(seed: int, length: int) -> Units:
        ids = np.random.default_rng(seed).integers(0, UNIT_SPEC.vocab_size, length)
        return Units(ids.astype(np.int64))

    return make


@pytest.fixture
def make_pairs(random_units) -> Callable[..., list[PreferencePair]]:
    """Pairs that differ in one thing: every other unit of the chosen side is 3, of the other 7."""

    def make(count: int, *, seed: int = 0) -> list[PreferencePair]:
        pairs = []
        for index in range(count):
            key = 1000 * seed + index
            length = 4 + index % 5
            chosen, rejected = random_units(key, length), random_units(key + 500, length + 1)
            chosen.ids[::2], rejected.ids[::2] = GOOD, BAD
            pairs.append(
                PreferencePair(
                    id=f"{seed}-{index}",
                    prompt_id=f"prompt-{index}",
                    prompt=random_units(key + 900, 3 + index % 7),
                    chosen=chosen,
                    rejected=rejected,
                )
            )
        return pairs

    return make

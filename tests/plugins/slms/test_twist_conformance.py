"""The shipped `tiny` model keeps the contract of a spoken language model."""

from __future__ import annotations

from orality.testing import SLMTests
from orality_slm_twist import TwistConfig
from orality_slm_twist.folder import find_folder, read_folder


class TestTwist(SLMTests):
    name = "twist"


def test_the_shipped_model_states_its_units_and_ends_its_sequences():
    path = find_folder(TwistConfig().checkpoint)
    assert path is not None
    folder = read_folder(path)
    assert folder.states_units
    assert folder.unit_spec.deduplicated
    assert (folder.bos, folder.eos) == (1, 2)
    assert sum(file.stat().st_size for file in path.iterdir()) < 16 * 2**20

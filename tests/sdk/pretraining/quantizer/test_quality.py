"""Measures of units, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from orality import EvaluationError
from orality.pretraining.quantizer.quality import unit_quality


def test_units_that_are_phones_know_everything() -> None:
    phones = np.array([0, 0, 1, 1, 2])
    found = unit_quality([phones + 7], [phones], seconds=0.2)
    assert found.pnmi == pytest.approx(1.0)
    assert found.phone_purity == found.unit_purity == pytest.approx(1.0)
    assert found.units_per_second == pytest.approx(3 / 0.2)
    assert found.used == 3


def test_units_independent_of_phones_know_nothing() -> None:
    units, phones = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    found = unit_quality([units], [phones], seconds=1.0)
    assert found.pnmi == pytest.approx(0.0)
    assert found.phone_purity == pytest.approx(0.5)


def test_half_of_the_information_by_hand() -> None:
    # four equal phones; the unit tells their pair: 1 bit of 2
    phones = np.array([0, 1, 2, 3])
    found = unit_quality([phones // 2], [phones], seconds=1.0)
    assert found.pnmi == pytest.approx(0.5)


def test_runs_do_not_join_across_recordings() -> None:
    one = np.array([5, 5])
    assert unit_quality([one, one], [one, one], seconds=1.0).units_per_second == 2.0


def test_nothing_to_measure_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="no frames"):
        unit_quality([], [], seconds=0.0)
    with pytest.raises(EvaluationError, match="differ"):
        unit_quality([np.array([1])], [np.array([1, 2])], seconds=1.0)

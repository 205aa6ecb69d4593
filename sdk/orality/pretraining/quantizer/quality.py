"""How good units are, measured against phones: information, purity, rate."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from orality.errors import EvaluationError


@dataclass(frozen=True, slots=True)
class UnitQuality:
    """`pnmi`: I(unit; phone) / H(phone), in [0, 1]. `phone_purity`: share of frames whose phone is
    the commonest of their unit. `unit_purity`: share of frames whose unit is the commonest of
    their phone. `units_per_second`: after de-duplication. `used`: units that occur."""

    pnmi: float
    phone_purity: float
    unit_purity: float
    units_per_second: float
    used: int
    seconds: float

    def as_dict(self) -> dict[str, float]:
        """The figures, rounded to four digits."""
        return {key: round(float(value), 4) for key, value in asdict(self).items()}


def unit_quality(
    units: list[NDArray[np.int64]],
    phones: list[NDArray[np.int64]],
    seconds: float,
) -> UnitQuality:
    """Measures of units against the phones of the same frames, one array per recording.

    `seconds`: how long the recordings are together. Entropies are plug-in estimates over frames,
    pauses included, as in Hsu et al., "HuBERT", 2021, section IV. Raises EvaluationError when
    nothing is given or the frames do not match.
    """
    if any(len(u) != len(p) for u, p in zip(units, phones, strict=True)):
        raise EvaluationError("units and phones differ in their number of frames")
    total = sum(map(len, units))
    if not total or seconds <= 0:
        raise EvaluationError("no frames to measure units on")
    flat_units, flat_phones = np.concatenate(units), np.concatenate(phones)
    joint = np.zeros((int(flat_units.max()) + 1, int(flat_phones.max()) + 1))
    np.add.at(joint, (flat_units, flat_phones), 1.0)
    joint /= total
    unit, phone = joint.sum(1), joint.sum(0)
    present = joint > 0
    information = float(
        (joint[present] * np.log(joint[present] / np.outer(unit, phone)[present])).sum()
    )
    entropy = float(-(phone[phone > 0] * np.log(phone[phone > 0])).sum())
    kept = sum(int((u[1:] != u[:-1]).sum()) + 1 for u in units if len(u))
    return UnitQuality(
        pnmi=information / entropy if entropy > 0 else 0.0,
        phone_purity=float(joint.max(1).sum()),
        unit_purity=float(joint.max(0).sum()),
        units_per_second=kept / seconds,
        used=int((unit > 0).sum()),
        seconds=seconds,
    )

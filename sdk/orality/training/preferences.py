"""Preference pairs as a model reads them: one item a prompt, each continuation once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from orality.protocols import SpeechLM
from orality.training.log_probs import preference_group
from orality.training.packing import Group
from orality.types import PreferencePair, Units


@dataclass(frozen=True, slots=True, eq=False)
class PreferenceItem:
    """All pairs of one prompt.

    `sides`: int64 (pairs, 2), the chosen and the rejected continuation of each pair, as indices
    into the group's. `references`: float64 (pairs, 2), their sums in nats under the reference; nan
    until they are known. `repeats`: float64 (pairs,), by how much the chosen side's auto-BLEU is
    above the rejected one's; nan where the pairs do not say.
    """

    ids: tuple[str, ...]
    group: Group
    sides: Tensor
    references: Tensor
    repeats: Tensor


def preference_items(slm: SpeechLM, pairs: Sequence[PreferencePair]) -> list[PreferenceItem]:
    """Group pairs by the tokens of their prompts, in the order of their first appearance.

    Raises TrainingError for an empty part, or one that does not fit the model's context.
    """
    by_prompt: dict[bytes, list[PreferencePair]] = {}
    for pair in pairs:
        by_prompt.setdefault(pair.prompt.ids.tobytes(), []).append(pair)
    return [_item(slm, some) for some in by_prompt.values()]


def _item(slm: SpeechLM, pairs: Sequence[PreferencePair]) -> PreferenceItem:
    place: dict[bytes, int] = {}
    continuations: list[tuple[str, Units]] = []
    for pair in pairs:
        for side, units in (("chosen", pair.chosen), ("rejected", pair.rejected)):
            if units.ids.tobytes() not in place:
                place[units.ids.tobytes()] = len(continuations)
                continuations.append((f"pair {pair.id}, {side}", units))
    sides = [[place[units.ids.tobytes()] for units in (p.chosen, p.rejected)] for p in pairs]
    return PreferenceItem(
        ids=tuple(pair.id for pair in pairs),
        group=preference_group(slm, pairs[0].prompt, continuations),
        sides=torch.tensor(sides),
        references=torch.full((len(pairs), 2), torch.nan, dtype=torch.float64),
        repeats=torch.tensor([_repeats(pair) for pair in pairs], dtype=torch.float64),
    )


def _repeats(pair: PreferencePair) -> float:
    chosen, rejected = (pair.metadata.get(f"{s}_auto_bleu") for s in ("chosen", "rejected"))
    return math.nan if chosen is None or rejected is None else float(chosen) - float(rejected)

"""Preference pairs as a model reads them: one item a prompt, each continuation once."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from orality.preferences.ties import draw_of
from orality.protocols import SpeechLM
from orality.training.log_probs import preference_group
from orality.training.rows.gaps import score_gap
from orality.training.rows.packing import Group
from orality.types import PreferencePair, Units


@dataclass(frozen=True, slots=True, eq=False)
class PreferenceItem:
    """All pairs of one prompt.

    `sides`: int64 (pairs, 2), the chosen and the rejected continuation of each pair, as indices
    into the group's. `references`, `starts`: float64 (pairs, 2), their sums in nats under the
    reference and under the policy that training starts from; nan until they are known. `repeats`:
    float64 (pairs,), by how much the chosen side's auto-BLEU is above the rejected one's; `gaps`:
    float64 (pairs,), the same of their scores; nan where the pairs do not say. `draws`: int64
    (pairs,), the number of the draw that each pair belongs to, in order; alternatives have the
    same.
    """

    ids: tuple[str, ...]
    group: Group
    sides: Tensor
    references: Tensor
    starts: Tensor
    repeats: Tensor
    gaps: Tensor
    draws: Tensor

    @property
    def shares(self) -> Tensor:
        """The weight of each pair, float64 (pairs,): 1, or an equal part where it has
        alternatives."""
        return (1 / self.draws.bincount().double())[self.draws]


def preference_items(slm: SpeechLM, pairs: Sequence[PreferencePair]) -> list[PreferenceItem]:
    """Group pairs by the tokens of their prompts, in the order of their first appearance.

    Raises TrainingError for an empty part, or one that does not fit the model's context.
    """
    by_prompt: dict[bytes, list[PreferencePair]] = {}
    for pair in pairs:
        by_prompt.setdefault(pair.prompt.ids.tobytes(), []).append(pair)
    return [_item(slm, some) for some in by_prompt.values()]


def draw_pairs(item: PreferenceItem, epoch: int, seed: int) -> PreferenceItem:
    """The item with one pair of each draw, and the continuations that are left (Align-SLM, section
    4.1): depends on the epoch, the seed, and the ids of the pairs alone."""
    count = int(item.draws[-1]) + 1
    if count == len(item.ids):
        return item
    kept = []
    for number in range(count):
        alternatives = (item.draws == number).nonzero()[:, 0].tolist()
        name = hashlib.sha256(item.ids[alternatives[0]].encode()).digest()
        generator = np.random.default_rng([seed, epoch, int.from_bytes(name[:8])])
        kept.append(alternatives[generator.integers(len(alternatives))])
    used = sorted(set(item.sides[kept].flatten().tolist()))
    place = {before: now for now, before in enumerate(used)}
    return PreferenceItem(
        ids=tuple(item.ids[index] for index in kept),
        group=Group(item.group.prompt, tuple(item.group.continuations[index] for index in used)),
        sides=torch.tensor([[place[side] for side in both] for both in item.sides[kept].tolist()]),
        references=item.references[kept],
        starts=item.starts[kept],
        repeats=item.repeats[kept],
        gaps=item.gaps[kept],
        draws=torch.arange(count),
    )


def _item(slm: SpeechLM, pairs: Sequence[PreferencePair]) -> PreferenceItem:
    draws: dict[tuple[str, str, str], int] = {}
    for pair in pairs:
        draws.setdefault(draw_of(pair), len(draws))
    # Alternatives stand together.
    pairs = sorted(pairs, key=lambda pair: draws[draw_of(pair)])
    place: dict[bytes, int] = {}
    continuations: list[tuple[str, Units]] = []
    for pair in pairs:
        for side, units in (("chosen", pair.chosen), ("rejected", pair.rejected)):
            if units.ids.tobytes() not in place:
                place[units.ids.tobytes()] = len(continuations)
                continuations.append((f"pair {pair.id}, {side}", units))
    sides = [[place[units.ids.tobytes()] for units in (p.chosen, p.rejected)] for p in pairs]
    unknown = torch.full((len(pairs), 2), torch.nan, dtype=torch.float64)
    return PreferenceItem(
        ids=tuple(pair.id for pair in pairs),
        group=preference_group(slm, pairs[0].prompt, continuations),
        sides=torch.tensor(sides),
        references=unknown,
        starts=unknown,
        repeats=torch.tensor([_repeats(pair) for pair in pairs], dtype=torch.float64),
        gaps=torch.tensor([score_gap(pair) for pair in pairs], dtype=torch.float64),
        draws=torch.tensor([draws[draw_of(pair)] for pair in pairs]),
    )


def _repeats(pair: PreferencePair) -> float:
    chosen, rejected = (pair.metadata.get(f"{s}_auto_bleu") for s in ("chosen", "rejected"))
    return math.nan if chosen is None or rejected is None else float(chosen) - float(rejected)

"""A row of pairs and what it scores: prompts are what a pair's members begin with in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from orality.training.attention import Backend
from orality.training.rows.packing import Group, PackedRow, pack

TokenPair = tuple[Tensor, Tensor]


@torch.inference_mode()
def score_pairs_in_row(
    module: nn.Module, pairs: Sequence[TokenPair], backend: Backend
) -> list[tuple[float, float]]:
    """Sums of log p(token t | tokens before t), t = 2..T, of both members of each pair, in nats.

    Token ids: int64, on the CPU, two or more. One forward pass; the softmax is over the full
    vocabulary in float32 or better, the sums are in float64. `packed_attention` must be in force.
    """
    if not pairs:
        return []
    groups: list[Group] = []
    members: list[tuple[Member, Member]] = []
    branches = 0
    for pair in pairs:
        of_pair, mine = _groups(*pair)
        members.append(
            tuple((len(groups) + group, branches + branch) for group, branch in mine)  # type: ignore[arg-type]
        )
        groups += of_pair
        branches += sum(len(group.continuations) for group in of_pair)
    sums = _sums(module, pack(groups), groups, backend)
    own, of_prompts = sums[:branches], sums[branches:]
    return [
        (own[a] + of_prompts[first], own[b] + of_prompts[second])
        for (first, a), (second, b) in members
    ]


Member = tuple[int, int]
"""Where a member of a pair went: the group that holds its beginning, the branch with the rest."""


def _groups(first: Tensor, second: Tensor) -> tuple[list[Group], tuple[Member, Member]]:
    """The groups of one pair, and where among them and their branches its members are."""
    size = min(len(first), len(second))
    same = first[:size] == second[:size]
    shared = size if bool(same.all()) else int(same.int().argmin())
    if shared == len(first) == len(second):
        return [Group(first[:1], (first[1:],))], ((0, 0), (0, 0))
    if shared == 0:
        alone = [Group(ids[:1], (ids[1:],)) for ids in (first, second)]
        return alone, ((0, 0), (1, 1))
    # Each branch needs a token of its own, also where one member is the beginning of the other.
    shared = min(shared, size - 1)
    return [Group(first[:shared], (first[shared:], second[shared:]))], ((0, 0), (0, 1))


def _sums(
    module: nn.Module, row: PackedRow, groups: Sequence[Group], backend: Backend
) -> list[float]:
    """Of each branch in the row's order, then of each prompt from its second token on."""
    device = next(module.parameters()).device
    places, targets, owners = [row.places], [row.targets], [row.owners]
    starts = [branch.prompt[0] for branch in row.layout.branches if branch.leads]
    for number, (start, group) in enumerate(zip(starts, groups, strict=True)):
        size = len(group.prompt)
        places.append(torch.arange(start, start + size - 1))
        targets.append(group.prompt[1:])
        owners.append(torch.full((size - 1,), row.continuations + number))
    model: Any = module
    logits = model(
        input_ids=row.ids[None].to(device),
        position_ids=row.positions[None].to(device),
        logits_to_keep=torch.cat(places).to(device),
        packing=backend(row.layout, device),
        use_cache=False,
    ).logits[0]  # (scored, vocabulary)
    precise = logits.to(torch.promote_types(logits.dtype, torch.float32))
    losses = cross_entropy(precise, torch.cat(targets).to(device), reduction="none")
    sums = torch.zeros(row.continuations + len(groups), dtype=torch.float64)
    return (-sums.index_add(0, torch.cat(owners), losses.double().cpu())).tolist()

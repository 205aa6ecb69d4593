"""Shared-prompt packing: a prompt stands once in a row, whatever follows it stands behind it.

A group is one prompt and any number of continuations. A row is `P C1 C2 | P C1 | ...`: no padding,
and the layers that look at one token at a time see each prompt once. Which token may look at which
is the affair of `orality.training.attention`. The idea is that of prefix sharing for preference
optimization (Wang and Hegde, arXiv 2410.20305).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from orality.errors import TrainingError


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Token ids of one prompt and of what may follow it: int64, on the CPU, each at least one long.

    The last token of a continuation is predicted but never read, so it takes no place in a row.
    """

    prompt: Tensor
    continuations: tuple[Tensor, ...]

    @property
    def tokens(self) -> int:
        """Places that the group takes in a row."""
        return len(self.prompt) + sum(len(ids) - 1 for ids in self.continuations)


@dataclass(frozen=True, slots=True)
class Branch:
    """One continuation's place in a row: half-open ranges of its prompt and of its own tokens.

    `leads`: it is the first of its group, and its prompt's tokens are looked after with it.
    """

    prompt: tuple[int, int]
    own: tuple[int, int]
    leads: bool

    @property
    def length(self) -> int:
        """Tokens that it reads, its prompt's among them."""
        return self.prompt[1] - self.prompt[0] + self.own[1] - self.own[0]


@dataclass(frozen=True, slots=True)
class Layout:
    """How a row is laid out: `tokens` places, and the branches in the order of the row."""

    tokens: int
    branches: tuple[Branch, ...]


@dataclass(frozen=True, slots=True, eq=False)
class PackedRow:
    """One row, as a model reads it, and what of its output counts. All tensors int64.

    `ids`, `positions`: (tokens,). `places`: (scored,) where the logits are needed; `targets`:
    (scored,) the token each of them has to predict; `owners`: (scored,) the continuation it
    belongs to, counted over all groups.
    """

    ids: Tensor
    positions: Tensor
    places: Tensor
    targets: Tensor
    owners: Tensor
    layout: Layout

    @property
    def continuations(self) -> int:
        """How many continuations the row holds."""
        return len(self.layout.branches)


def pack(groups: Sequence[Group]) -> PackedRow:
    """Lay the groups out as one row, in their order."""
    ids: list[Tensor] = []
    positions: list[Tensor] = []
    places: list[Tensor] = []
    owners: list[Tensor] = []
    branches: list[Branch] = []
    end = 0
    for group in groups:
        size = len(group.prompt)
        prompt = (end, end + size)
        ids.append(group.prompt)
        positions.append(torch.arange(size))
        end += size
        for number, continuation in enumerate(group.continuations):
            read = len(continuation) - 1
            own = (end, end + read)
            # The prompt's last token predicts the first of every continuation.
            places.append(torch.tensor([prompt[1] - 1]))
            places.append(torch.arange(*own))
            owners.append(torch.full((read + 1,), len(branches)))
            branches.append(Branch(prompt, own, leads=number == 0))
            ids.append(continuation[:-1])
            positions.append(torch.arange(size, size + read))
            end += read
    return PackedRow(
        ids=torch.cat(ids),
        positions=torch.cat(positions),
        places=torch.cat(places),
        targets=torch.cat([ids for group in groups for ids in group.continuations]),
        owners=torch.cat(owners),
        layout=Layout(end, tuple(branches)),
    )


def fill_rows(sizes: Sequence[int], max_tokens: int) -> list[list[int]]:
    """Indices into `sizes`, a row each: first fit, the largest first; no row above `max_tokens`.

    The order depends on the sizes alone, and the fullest row comes first, so that what does not
    fit in memory fails at once. Raises TrainingError when a single group is too large.
    """
    too_large = max(sizes, default=0)
    if too_large > max_tokens:
        raise TrainingError(
            f"a prompt with its continuations takes {too_large} tokens, which is above "
            f"max_tokens={max_tokens}; groups are never split, so raise max_tokens to {too_large} "
            "or more"
        )
    rows: list[list[int]] = []
    room: list[int] = []
    for index in sorted(range(len(sizes)), key=lambda index: (-sizes[index], index)):
        for row, left in enumerate(room):
            if sizes[index] <= left:
                rows[row].append(index)
                room[row] -= sizes[index]
                break
        else:
            rows.append([index])
            room.append(max_tokens - sizes[index])
    order = sorted(range(len(rows)), key=lambda row: (room[row], row))
    return [rows[row] for row in order]

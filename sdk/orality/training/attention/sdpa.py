"""PyTorch's fused attention, each continuation with its prompt as a causal sequence of its own.

No mask is ever made: a dense one would pay for what it hides. Sequences of like length go through
the kernel together, padded on the right, where a causal kernel does not look. A prompt's own
attention is computed again for each further continuation and dropped; it is a small part of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from orality.training.attention.plan import RowAttention
from orality.training.rows.packing import Branch, Layout

# Sequences shorter than this share of the longest one beside them go into a call of their own.
_ALIKE = 0.75


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """One call of the kernel: `read` (sequences, longest) are places in the row, padded with 0."""

    read: Tensor
    sequences: int


def sdpa(layout: Layout, device: torch.device) -> RowAttention:
    """Causal scaled_dot_product_attention over each branch; runs on every device."""
    calls: list[_Call] = []
    # From where among all calls' outputs, laid end to end, each place of the row takes its own.
    source = torch.zeros(layout.tokens, dtype=torch.int64)
    offset = 0
    for branches in _alike(layout.branches):
        longest = branches[0].length
        read = torch.zeros(len(branches), longest, dtype=torch.int64)
        for number, branch in enumerate(branches):
            size = branch.prompt[1] - branch.prompt[0]
            read[number, :size] = torch.arange(*branch.prompt)
            read[number, size : branch.length] = torch.arange(*branch.own)
            begin = offset + number * longest
            if branch.leads:
                source[slice(*branch.prompt)] = torch.arange(begin, begin + size)
            source[slice(*branch.own)] = torch.arange(begin + size, begin + branch.length)
        calls.append(_Call(read.flatten().to(device), len(branches)))
        offset += read.numel()
    source = source.to(device)

    def attend(query: Tensor, key: Tensor, value: Tensor, *, scaling: float) -> Tensor:
        grouped = query.shape[0] != key.shape[0]
        # Tokens first, so that a place in the row is one piece of memory.
        parts = [part.transpose(0, 1) for part in (query, key, value)]
        outputs = []
        for call in calls:
            own_query, own_key, own_value = (
                part.index_select(0, call.read)
                .view(call.sequences, -1, *part.shape[1:])
                .transpose(1, 2)  # (sequences, heads, longest, head size)
                for part in parts
            )
            output = scaled_dot_product_attention(
                own_query, own_key, own_value, is_causal=True, scale=scaling, enable_gqa=grouped
            )
            outputs.append(output.transpose(1, 2).flatten(0, 1))
        return torch.cat(outputs).index_select(0, source)

    return attend


def _alike(branches: tuple[Branch, ...]) -> list[list[Branch]]:
    """The branches, the longest first, in lists of like lengths; branches without tokens of their
    own matter only where they stand for their prompt."""
    found: list[list[Branch]] = []
    matter = (branch for branch in branches if branch.leads or branch.own[0] < branch.own[1])
    for branch in sorted(matter, key=lambda branch: -branch.length):
        if found and branch.length >= _ALIKE * found[-1][0].length:
            found[-1].append(branch)
        else:
            found.append([branch])
    return found

"""Log-probabilities of continuations given their prompts, batched and differentiable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from orality.errors import TrainingError
from orality.protocols import SpeechLM
from orality.types import Units

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """Token ids of a prompt and, from index `start` on, of what is scored given it.

    `ids`: int64, shape (length,), on the CPU. `start` is at least 1: nothing precedes token 0.
    """

    ids: Tensor
    start: int

    @property
    def scored(self) -> int:
        """How many tokens are scored."""
        return len(self.ids) - self.start


def continuation_row(slm: SpeechLM, prompt: Units, continuation: Units, *, name: str) -> Row:
    """A prompt and its continuation as one row; `name` says in errors whose they are."""
    start = slm.to_input_ids(prompt).cpu()
    rest = slm.to_input_ids(continuation).cpu()
    for part, ids in (("prompt", start), ("continuation", rest)):
        if not len(ids):
            raise TrainingError(f"{name}: the {part} has no units; leave it out")
    return _checked(slm, Row(torch.cat([start, rest]), len(start)), name)


def sequence_row(slm: SpeechLM, units: Units, *, name: str) -> Row:
    """A whole sequence as one row, scored from its second token on."""
    ids = slm.to_input_ids(units).cpu()
    if len(ids) < 2:
        raise TrainingError(f"{name}: got {len(ids)} units, at least 2 are needed; leave it out")
    return _checked(slm, Row(ids, 1), name)


def sum_log_probs(module: nn.Module, rows: Sequence[Row], *, device: torch.device) -> Tensor:
    """One forward pass: float32 sums in nats over each row's scored tokens, shape (rows,).

    Rows are padded on the right, where a causal model cannot see it; the softmax is over the full
    vocabulary and in float32 whatever the model computes in.
    """
    length = max(len(row.ids) for row in rows)
    ids = torch.zeros(len(rows), length, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    scored = torch.zeros(len(rows), length, dtype=torch.bool)
    for index, row in enumerate(rows):
        end = len(row.ids)
        ids[index, :end] = row.ids
        mask[index, :end] = 1
        scored[index, row.start : end] = True
    ids, mask = ids.to(device), mask.to(device)
    scored = scored[:, 1:].to(device)
    # Explicit, because models disagree on what they derive from a mask.
    positions = torch.arange(length, device=device).expand(len(rows), length)
    logits = module(input_ids=ids, attention_mask=mask, position_ids=positions).logits[:, :-1]
    # Only what is scored is cast up: (scored tokens, vocabulary)
    losses = cross_entropy(logits[scored].float(), ids[:, 1:][scored], reduction="none")
    per_token = torch.zeros(scored.shape, dtype=torch.float32, device=device)
    return per_token.masked_scatter(scored, -losses).sum(dim=1)


def micro_batches(
    items: Sequence[ItemT], size: int, *, length: Callable[[ItemT], int]
) -> list[list[int]]:
    """Indices into `items`, at most `size` at a time, neighbors in length, the longest first.

    Little padding, and what does not fit in memory fails at once rather than after an hour.
    """
    order = sorted(range(len(items)), key=lambda index: (-length(items[index]), index))
    return [order[begin : begin + size] for begin in range(0, len(order), size)]


def _checked(slm: SpeechLM, row: Row, name: str) -> Row:
    if len(row.ids) > slm.context_length:
        raise TrainingError(
            f"{name}: {len(row.ids)} tokens do not fit the model's context of "
            f"{slm.context_length}; shorten prompts or continuations"
        )
    return row

"""Log-probabilities of continuations given their prompts, batched and differentiable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from orality.errors import TrainingError
from orality.protocols import SpeechLM
from orality.training.attention import Backend
from orality.training.rows.packing import Group, pack
from orality.types import Units

Score = Callable[[Sequence[Group]], Tensor]
"""`sum_log_probs` of one model: groups in, a sum in nats for each of their continuations out."""


def sum_log_probs(module: nn.Module, groups: Sequence[Group], backend: Backend | None) -> Tensor:
    """One forward pass: sums in nats over each continuation, shape (continuations,), in order.

    The groups are packed into one row, which `backend` attends to (`packed_attention` must be in
    force), or padded where it is None. The softmax is over the full vocabulary and in float32 or
    better, whatever the model computes in.
    """
    device = next(module.parameters()).device
    if backend is None:
        return _padded(module, groups, device)
    row = pack(groups)
    # Logits only where they are needed: (scored, vocabulary)
    logits = module(
        input_ids=row.ids[None].to(device),
        position_ids=row.positions[None].to(device),
        logits_to_keep=row.places.to(device),
        packing=backend(row.layout, device),
        use_cache=False,
    ).logits[0]
    return _sums(logits, row.targets.to(device), row.owners.to(device), row.continuations)


def preference_group(
    slm: SpeechLM, prompt: Units, continuations: Sequence[tuple[str, Units]]
) -> Group:
    """A prompt and its continuations as token ids; their names say in errors whose they are."""
    start = slm.to_input_ids(prompt).cpu()
    rest = []
    for name, units in continuations:
        ids = slm.to_input_ids(units).cpu()
        for part, tokens in (("prompt", start), ("continuation", ids)):
            if not len(tokens):
                raise TrainingError(f"{name}: the {part} has no units; leave it out")
        _check_length(slm, len(start) + len(ids), name)
        rest.append(ids)
    return Group(start, tuple(rest))


def sequence_group(slm: SpeechLM, units: Units, *, name: str) -> Group:
    """A whole sequence, scored from its second token on: the first is its prompt."""
    ids = slm.to_input_ids(units).cpu()
    if len(ids) < 2:
        raise TrainingError(f"{name}: got {len(ids)} units, at least 2 are needed; leave it out")
    _check_length(slm, len(ids), name)
    return Group(ids[:1], (ids[1:],))


def _padded(module: nn.Module, groups: Sequence[Group], device: torch.device) -> Tensor:
    """A sequence a row, padded on the right, where a causal model cannot see it."""
    sequences = [(g.prompt, ids) for g in groups for ids in g.continuations]
    length = max(len(prompt) + len(ids) for prompt, ids in sequences)
    ids = torch.zeros(len(sequences), length, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    scored = torch.zeros(len(sequences), length, dtype=torch.bool)
    for index, (prompt, continuation) in enumerate(sequences):
        end = len(prompt) + len(continuation)
        ids[index, :end] = torch.cat([prompt, continuation])
        mask[index, :end] = 1
        scored[index, len(prompt) : end] = True
    ids, mask, scored = ids.to(device), mask.to(device), scored[:, 1:].to(device)
    # Explicit, because models disagree on what they derive from a mask.
    positions = torch.arange(length, device=device).expand(len(sequences), length)
    output: Any = module(input_ids=ids, attention_mask=mask, position_ids=positions)
    owners = torch.arange(len(sequences), device=device)[:, None].expand_as(scored)
    return _sums(output.logits[:, :-1][scored], ids[:, 1:][scored], owners[scored], len(sequences))


def _sums(logits: Tensor, targets: Tensor, owners: Tensor, count: int) -> Tensor:
    precise = torch.promote_types(logits.dtype, torch.float32)
    log_probs = -cross_entropy(logits.to(precise), targets, reduction="none")
    return torch.zeros(count, dtype=precise, device=logits.device).index_add(0, owners, log_probs)


def _check_length(slm: SpeechLM, length: int, name: str) -> None:
    if length > slm.context_length:
        raise TrainingError(
            f"{name}: {length} tokens do not fit the model's context of {slm.context_length}; "
            "shorten prompts or continuations"
        )

"""Log-likelihoods of continuations with and without their prompt, one forward pass per prompt.

A row holds `bos prompt | c1 .. cN | c1 .. cN`: the first copies of the continuations see the prompt
and the second the beginning-of-sequence token alone. Positions restart and an explicit mask keeps
them apart, so a prompt is read once for all its continuations and no continuation sees another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from orality import CheckpointError


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Sums of log-probabilities in nats over a continuation's tokens."""

    conditional: float
    unconditional: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Row:
    """One packed row: token ids, positions, the segment of each token, and the prompt's length."""

    ids: list[int]
    positions: list[int]
    segments: list[int]  # 0 the prompt, 1..N conditional copies, N+1..2N unconditional copies
    prefix: int
    lengths: list[int]


def pack(prompt: Sequence[int], continuations: Sequence[Sequence[int]]) -> Row:
    """The row of a prompt (bos first) and its continuations, none of them empty."""
    ids, positions = list(prompt), list(range(len(prompt)))
    segments = [0] * len(prompt)
    for copy, start in enumerate((len(prompt), 1)):
        for index, tokens in enumerate(continuations):
            ids += tokens
            positions += range(start, start + len(tokens))
            segments += [1 + index + copy * len(continuations)] * len(tokens)
    return Row(ids, positions, segments, len(prompt), [len(tokens) for tokens in continuations])


def mask(row: Row, length: int) -> torch.Tensor:
    """Which tokens a token sees: bool, (length, length); padding sees itself alone."""
    segments = torch.full((length,), -1)
    segments[: len(row.segments)] = torch.tensor(row.segments)
    order = torch.arange(length)
    causal = order[:, None] >= order[None, :]
    same = segments[:, None] == segments[None, :]
    conditional = (segments >= 1) & (segments <= len(row.lengths))
    prompt = conditional[:, None] & (segments == 0)[None, :]
    bos = (segments >= 0)[:, None] & (order == 0)[None, :]
    seen = causal & (same | prompt | bos) & (segments >= 0)[:, None]
    return seen | torch.eye(length, dtype=torch.bool)


def score(model: Any, rows: Sequence[Row]) -> list[list[Likelihood]]:
    """The likelihoods of every row's continuations, in order, from one forward pass."""
    length = max(len(row.ids) for row in rows)
    device = model.device
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    positions = torch.zeros(len(rows), length, dtype=torch.long)
    seen = torch.stack([mask(row, length) for row in rows])
    for index, row in enumerate(rows):
        ids[index, : len(row.ids)] = torch.tensor(row.ids)
        positions[index, : len(row.ids)] = torch.tensor(row.positions)
    # An additive mask: eager attention would add a boolean one as a number.
    floor = torch.finfo(model.dtype).min
    additive = torch.zeros(seen.shape, dtype=model.dtype).masked_fill(~seen, floor)[:, None]
    inputs = {
        "input_ids": ids.to(device),
        "attention_mask": additive.to(device),
        "position_ids": positions.to(device),
        "use_cache": False,
    }
    with torch.inference_mode():
        body, head = _parts(model)
        if body is None:
            logits = model(**inputs).logits
            return [_read(logits[i][_sources(row)], row) for i, row in enumerate(rows)]
        # Only what predicts a continuation's token goes through the vocabulary, row by row: a
        # row's logits then stay near the processor.
        hidden = body(**inputs).last_hidden_state
        return [_read(head(hidden[i][_sources(row)]), row) for i, row in enumerate(rows)]


def _parts(model: Any) -> tuple[Any, Any]:
    """The model without its output layer, and that layer; (None, None) where more lies between, or
    may: a scale or a cap of the logits."""
    if not hasattr(model, "base_model_prefix") or not hasattr(model, "get_output_embeddings"):
        return None, None
    body = getattr(model, model.base_model_prefix or "", None)
    head = model.get_output_embeddings()
    config = model.config.to_dict()
    scaled = any(("logit" in key or "lm_head" in key) and config[key] for key in config)
    if body is None or body is model or type(head) is not torch.nn.Linear or scaled:
        return None, None
    return body, head


def _sources(row: Row) -> list[int]:
    # A token is predicted by the one before it; a copy's first by the prompt's last, or by bos.
    sources: list[int] = []
    for tail, start in ((row.prefix - 1, row.prefix), (0, row.prefix + sum(row.lengths))):
        for length in row.lengths:
            sources += [tail, *range(start, start + length - 1)]
            start += length
    return sources


def _read(logits: torch.Tensor, row: Row) -> list[Likelihood]:
    """From the logits, (tokens, vocabulary), that predict a row's continuations."""
    targets = torch.tensor(row.ids[row.prefix :], device=logits.device)
    found = logits.float().log_softmax(-1).gather(-1, targets[:, None])[:, 0]
    sums = [float(part.sum()) for part in torch.split(found, [*row.lengths, *row.lengths])]
    half = len(row.lengths)
    return [
        Likelihood(conditional, unconditional, tokens)
        for conditional, unconditional, tokens in zip(
            sums[:half], sums[half:], row.lengths, strict=True
        )
    ]


def check(model: Any) -> None:
    """CheckpointError if the model does not heed the mask, so that packing would be wrong."""
    first, second, prompt = [3, 4], [5], [1, 2]
    with torch.inference_mode():
        ids = torch.tensor([prompt + first], device=model.device)
        plain = model(input_ids=ids, use_cache=False).logits[0].float().log_softmax(-1)
    wanted = float(plain[1, first[0]] + plain[2, first[1]])
    found = score(model, [pack(prompt, [second, first])])[0][1].conditional
    if abs(found - wanted) > 0.02 * abs(wanted):
        raise CheckpointError(
            f"{type(model).__name__} gives {found:.4f} for packed and {wanted:.4f} for plain text: "
            "it does not heed an explicit attention mask; choose another text model"
        )


def batches(rows: Sequence[Row], budget: int) -> Iterable[list[int]]:
    """Row numbers by length, as many together as `budget` tokens hold when padded."""
    order = sorted(range(len(rows)), key=lambda index: len(rows[index].ids))
    batch: list[int] = []
    for index in order:
        if batch and len(rows[index].ids) * (len(batch) + 1) > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch

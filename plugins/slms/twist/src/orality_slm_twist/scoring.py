"""Log-likelihoods of token sequences, batched by length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

TOKENS_PER_BATCH = 16_384


@torch.inference_mode()
def sum_log_probs(module: nn.Module, rows: Sequence[torch.Tensor]) -> list[float]:
    """Sum of log p(token t | tokens before t) in nats for t = 2..T of each row, shape (T,)."""
    result = [0.0] * len(rows)
    with evaluating(module):
        for batch in length_buckets([len(row) for row in rows], TOKENS_PER_BATCH):
            for index, value in zip(batch, _score(module, [rows[i] for i in batch]), strict=True):
                result[index] = value
    return result


def length_buckets(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Indices grouped so that rows times longest row stays within `budget`; length < 2 left out."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if lengths[index] < 2:
            continue
        if batch and (len(batch) + 1) * lengths[index] > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode (no dropout) inside, the mode it had before afterwards."""
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)


def _score(module: nn.Module, rows: Sequence[torch.Tensor]) -> list[float]:
    device = next(module.parameters()).device
    lengths = torch.tensor([len(row) for row in rows])
    # Padding is on the right and attention is causal: no real position ever sees it, so token 0
    # may pad, no mask is needed, and positions count from 0 as without padding.
    ids = nn.utils.rnn.pad_sequence(list(rows), batch_first=True).to(device)  # (B, T)
    positions = torch.arange(ids.shape[1], device=device).expand_as(ids)
    logits = module(input_ids=ids, position_ids=positions, use_cache=False).logits[:, :-1]
    scores = logits.float().log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0].double()
    real = torch.arange(ids.shape[1] - 1)[None] < lengths[:, None] - 1  # (B, T - 1)
    return [float(v) for v in (scores * real.to(device)).sum(1).cpu()]

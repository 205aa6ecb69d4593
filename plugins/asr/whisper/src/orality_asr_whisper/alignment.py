"""When each token was said: the path of the decoder's attention through the recording.

"Robust Speech Recognition via Large-Scale Weak Supervision" and its reference implementation: some
cross-attention heads follow the speech; dynamic time warping turns them into monotone times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from orality_asr_whisper.decoding import Rules

SECONDS_PER_STATE = 0.02
_MEDIAN = 7  # states


def token_starts(
    model: Any,
    states: torch.Tensor,
    rules: Rules,
    texts: Sequence[list[int]],
    heads: Sequence[tuple[int, int]],
    lengths: Sequence[int],
) -> list[NDArray[np.float64]]:
    """Seconds at which each token begins and, last, at which the text ends: (tokens + 1,) each.

    `states`: of the encoder, (batch, positions, width). `texts`: token ids without specials, not
    empty. `heads`: (layer, head). `lengths`: the states that stand for sound, per item.
    """
    rows = [[*rules.prompt, *ids, rules.end] for ids in texts]
    longest = max(map(len, rows))
    # The decoder looks back only, so what fills up a row on the right changes nothing.
    filled = [row + [rules.end] * (longest - len(row)) for row in rows]
    with _caught(model, sorted({layer for layer, _ in heads})) as caught:
        model.model.decoder(
            input_ids=torch.tensor(filled, device=states.device),
            encoder_hidden_states=states,
            use_cache=False,
        )
    # The last token of the prompt attends to where the first of the text is, and so on.
    first = len(rules.prompt) - 1
    return [
        _path_starts(_follow(model, caught, heads, row, first, len(ids) + 1, length))
        for row, (ids, length) in enumerate(zip(texts, lengths, strict=True))
    ]


def default_heads(layers: int, heads: int) -> list[tuple[int, int]]:
    """All heads of the upper half of the decoder, for checkpoints that do not name the best."""
    return [(layer, head) for layer in range(layers // 2, layers) for head in range(heads)]


def first_frames(cost: NDArray[np.float64]) -> NDArray[np.int64]:
    """The first frame of each row on the cheapest monotone path through (rows, frames)."""
    rows, frames = cost.shape
    total = np.full((rows + 1, frames + 1), np.inf)
    total[0, 0] = 0.0
    came = np.zeros((rows + 1, frames + 1), np.int8)
    for diagonal in range(2, rows + frames + 1):
        i = np.arange(max(1, diagonal - frames), min(rows, diagonal - 1) + 1)
        j = diagonal - i
        ways = np.stack([total[i - 1, j - 1], total[i - 1, j], total[i, j - 1]])
        best = ways.argmin(axis=0)
        came[i, j] = best
        total[i, j] = cost[i - 1, j - 1] + ways[best, np.arange(len(i))]
    starts = np.zeros(rows, np.int64)
    row, frame = rows, frames
    while row > 0:
        starts[row - 1] = frame - 1
        way = int(came[row, frame])
        row, frame = row - (way != 2), frame - (way != 1)
    return starts


def _path_starts(matrix: torch.Tensor) -> NDArray[np.float64]:
    frames = first_frames(-matrix.double().cpu().numpy())
    return frames.astype(np.float64) * SECONDS_PER_STATE


def _follow(
    model: Any,
    caught: dict[tuple[int, str], torch.Tensor],
    heads: Sequence[tuple[int, int]],
    row: int,
    first: int,
    tokens: int,
    length: int,
) -> torch.Tensor:
    """How much each token is at each state, averaged over heads: (tokens, length)."""
    width = model.config.d_model // model.config.decoder_attention_heads
    weights = []
    for layer, head in heads:
        part = slice(head * width, (head + 1) * width)
        query = caught[layer, "q"][row, first : first + tokens, part].float()
        key = caught[layer, "k"][row, :length, part].float()
        weights.append((query @ key.T * width**-0.5).softmax(-1))
    stacked = torch.stack(weights)  # (heads, tokens, length)
    spread, mean = torch.std_mean(stacked, dim=1, keepdim=True, unbiased=False)
    return _median((stacked - mean) / spread.clamp(min=1e-9)).mean(0)


def _median(values: torch.Tensor) -> torch.Tensor:
    """Over seven neighbors along the last dimension, mirrored at the edges."""
    edge = _MEDIAN // 2
    if values.shape[-1] <= edge:
        return values
    padded = functional.pad(values, (edge, edge), mode="reflect")
    return padded.unfold(-1, _MEDIAN, 1).sort(-1).values[..., edge]


@contextmanager
def _caught(model: Any, layers: list[int]) -> Iterator[dict[tuple[int, str], torch.Tensor]]:
    """Queries and keys of the cross-attention, whose fused kernels return no weights."""
    caught: dict[tuple[int, str], torch.Tensor] = {}

    def keep(name: tuple[int, str]) -> Any:
        def hook(module: Any, inputs: Any, output: torch.Tensor) -> None:
            caught[name] = output

        return hook

    handles = []
    for layer in layers:
        attention = model.model.decoder.layers[layer].encoder_attn
        handles.append(attention.q_proj.register_forward_hook(keep((layer, "q"))))
        handles.append(attention.k_proj.register_forward_hook(keep((layer, "k"))))
    try:
        yield caught
    finally:
        for handle in handles:
            handle.remove()

"""Batched greedy decoding with a key-value cache; only the speech itself is encoded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from orality_asr_whisper.decoder import Decoder
from orality_asr_whisper.features import HOP, SAMPLE_RATE, log_mel

TOKENS_PER_SECOND = 8.0
SPARE_TOKENS = 8
# The decoder was trained on 30 s and repeats itself when nothing follows the speech. It stops when
# silence does: so many states in all, and at least so many of silence (50 states are 1 s).
STATES = 500
SILENT_STATES = 250
# Rows that have ended are left out once no more than this share of those in hand goes on.
MOST_ACTIVE = 0.9


@dataclass(frozen=True, slots=True)
class Decoded:
    """Token ids without specials, their mean log-probability, and that of no speech at all."""

    ids: list[int]
    mean_log_prob: float
    no_speech: float


@dataclass(frozen=True, slots=True)
class Rules:
    """What the checkpoint's decoder starts with, ends with and must not say."""

    prompt: tuple[int, ...]
    end: int
    no_speech: int | None
    suppressed: tuple[int, ...]
    suppressed_first: tuple[int, ...]


def encode(model: Any, mels: torch.Tensor) -> torch.Tensor:
    """Encoder states of (batch, bins, frames): (batch, frames // 2, width).

    The position table is cut to the clip instead of the clip padded to the table.
    """
    encoder = model.model.encoder
    hidden = functional.gelu(encoder.conv1(mels))
    hidden = functional.gelu(encoder.conv2(hidden)).transpose(1, 2)
    hidden = hidden + encoder.embed_positions.weight[: hidden.shape[1]]
    for layer in encoder.layers:
        hidden = layer(hidden, None)
        hidden = hidden[0] if isinstance(hidden, tuple) else hidden
    return encoder.layer_norm(hidden)  # type: ignore[no-any-return]


def silence(model: Any, bins: int) -> torch.Tensor:
    """States of the silence after speech, at every position: (1, max_source_positions, width).

    A second of noise comes first, since Whisper scales a clip by its loudest moment; its own
    states are no silence, and no clip is short enough to need them.
    """
    positions = model.config.max_source_positions
    samples = torch.zeros(1, positions * 2 * HOP)
    generator = torch.Generator().manual_seed(0)
    samples[:, :SAMPLE_RATE] = 0.1 * torch.randn(1, SAMPLE_RATE, generator=generator)
    return encode(model, log_mel(samples.to(model.device), bins).to(model.dtype))


def with_silence(states: torch.Tensor, silent: torch.Tensor) -> torch.Tensor:
    """Append the states of silence that would follow, were the clip padded as in training."""
    length = states.shape[1]
    total = min(max(STATES, length + SILENT_STATES), silent.shape[1])
    tail = silent[:, length:total].expand(len(states), -1, -1)
    return torch.cat([states, tail], dim=1)


def greedy(
    decoder: Decoder, states: Sequence[torch.Tensor], rules: Rules, seconds: Sequence[float]
) -> list[Decoded]:
    """The likeliest token at each step of clips by their states, (length, width) each.

    A clip of s seconds gets at most 8 s + 8 tokens, which ends the loops Whisper falls into. Clips
    of one length are best side by side.
    """
    limits = [math.ceil(TOKENS_PER_SECOND * s) + SPARE_TOKENS for s in seconds]
    room = decoder.most_tokens - len(rules.prompt)
    limits = [min(limit, room) for limit in limits]
    text = decoder.begin(states, len(rules.prompt) + max(limits))
    ids: list[list[int]] = [[] for _ in limits]
    sums, counts, no_speech = [0.0] * len(limits), [0] * len(limits), [0.0] * len(limits)
    held = list(range(len(limits)))  # the clip of each row
    active = set(held)
    tokens = torch.tensor([rules.prompt] * len(limits), device=states[0].device)
    banned = torch.zeros(decoder.vocab_size, device=tokens.device)
    banned[list(rules.suppressed)] = -math.inf
    banned_first = banned.clone()
    banned_first[list(rules.suppressed_first)] = -math.inf
    for step in range(max(limits)):
        hidden = text.write(tokens)
        if step == 0 and rules.no_speech is not None:
            first = decoder.output(hidden[:, 0]).float().softmax(-1)[:, rules.no_speech]
            no_speech = first.tolist()
        logits = decoder.output(hidden[:, -1]).float()
        logits += banned if step else banned_first
        top, chosen = logits.max(-1)
        values = top - logits.logsumexp(-1)
        for index, value, token in zip(held, values.tolist(), chosen.tolist(), strict=True):
            if index not in active:
                continue
            sums[index] += value
            counts[index] += 1
            if token != rules.end:
                ids[index].append(token)
            if token == rules.end or len(ids[index]) == limits[index]:
                active.discard(index)
        if not active:
            break
        tokens = chosen[:, None]
        if len(active) <= MOST_ACTIVE * len(held):
            rows = [row for row, index in enumerate(held) if index in active]
            text.keep(rows)
            tokens, held = tokens[rows], [held[row] for row in rows]
    return [
        Decoded(i, total / max(count, 1), silent)
        for i, total, count, silent in zip(ids, sums, counts, no_speech, strict=True)
    ]


def mean_log_probs(
    model: Any, states: torch.Tensor, rules: Rules, texts: list[list[int]]
) -> list[float]:
    """Of the tokens of given texts and their end, as they would be written: nats per token."""
    rows = [[*rules.prompt, *ids, rules.end] for ids in texts]
    longest = max(map(len, rows))
    filled = [row + [rules.end] * (longest - len(row)) for row in rows]
    tokens = torch.tensor(filled, device=states.device)
    hidden = model.model.decoder(
        input_ids=tokens[:, :-1], encoder_hidden_states=states, use_cache=False
    ).last_hidden_state[:, len(rules.prompt) - 1 :]
    means = []
    for row, ids in enumerate(texts):
        said = torch.tensor([*ids, rules.end], device=states.device)
        logits = model.proj_out(hidden[row, : len(said)]).float()
        means.append(float(logits.log_softmax(-1).gather(1, said[:, None]).mean()))
    return means

"""Items of several lengths through one generator, each as it would come out alone.

Alone, every convolution sees zeros beyond an item's end. In a batch the shorter items' places
there hold whatever the layer before made of them; they are set back to zero before each layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

FRAMES_AT_ONCE = {"cpu": 256}
"""By device: on a CPU more would not stay in its cache, and be slower."""
_FRAMES_ELSEWHERE = 16_384
_STEP = 8
"""Batches are as long as a multiple of this: each other length costs a CPU the time to prepare its
convolutions anew."""
_ALIKE = 0.75
"""An item shorter than this share of the longest beside it goes into another batch."""
_LAST_SLOPE = 0.01  # the original forgets to name its slope before the last layer


def generate(body: Any, items: Sequence[Tensor]) -> list[Tensor]:
    """What each item (frames, width) sounds like, (samples,), in order; nothing for no frames.

    `body`: a SpeechT5HifiGan after `lay_in_rows`; its layers are used with the slope of its config.
    """
    spoken = [items[0].new_zeros(0)] * len(items) if items else []
    most = FRAMES_AT_ONCE.get(items[0].device.type, _FRAMES_ELSEWHERE) if items else 0
    for numbers in _batches([len(item) for item in items], most):
        longest = -(-len(items[numbers[0]]) // _STEP) * _STEP
        batch = items[0].new_zeros(len(numbers), longest, items[0].shape[1])
        for row, number in enumerate(numbers):
            batch[row, : len(items[number])] = items[number]
        samples, lengths = _forward(body, batch, [len(items[i]) for i in numbers])
        for row, number in enumerate(numbers):
            spoken[number] = samples[row, : lengths[row]]
    return spoken


def _batches(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Indices of items of like lengths, the longest first, `most` frames at once; none of empty
    ones."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        if not lengths[index]:
            continue
        longest = lengths[batch[0]] if batch else 0
        full = (len(batch) + 1) * longest > most
        if batch and (full or lengths[index] < _ALIKE * longest):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _forward(body: Any, x: Tensor, lengths: Sequence[int]) -> tuple[Tensor, Sequence[int]]:
    """(batch, frames, width) to (batch, samples), and how many of them are each item's own."""
    slope = body.config.leaky_relu_slope
    # (batch, channels, 1, frames), a frame's channels side by side in memory
    x = body.conv_pre(x[:, None].permute(0, 3, 1, 2))
    for stage, upsample in enumerate(body.upsampler):
        x = upsample(leaky_relu(_silence(x, lengths), slope, inplace=True))
        lengths = [upsample.length(length) for length in lengths]
        _silence(x, lengths)
        blocks = body.resblocks[stage * body.num_kernels : (stage + 1) * body.num_kernels]
        total = _residual(blocks[0], x, slope, lengths)
        for block in blocks[1:]:
            total += _residual(block, x, slope, lengths)
        x = total.div_(body.num_kernels)
    x = body.conv_post(leaky_relu(_silence(x, lengths), _LAST_SLOPE, inplace=True))
    return torch.tanh(x)[:, 0, 0], lengths


def _residual(block: Any, x: Tensor, slope: float, lengths: Sequence[int]) -> Tensor:
    for first, second in zip(block.convs1, block.convs2, strict=True):
        inner = _silence(first(leaky_relu(_silence(x, lengths), slope)), lengths)
        x = second(leaky_relu(inner, slope, inplace=True)).add_(x)
    return x


def _silence(x: Tensor, lengths: Sequence[int]) -> Tensor:
    """Set what lies beyond each item's end to zero, in place."""
    for row, length in enumerate(lengths):
        if length < x.shape[-1]:
            x[row, :, :, length:] = 0
    return x

"""Steps recorded once on a GPU and replayed: the kernels of a step start as one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from orality_slm_twist.engine import Step
from orality_slm_twist.shared import SharedCache, View

logger = logging.getLogger(__name__)

Recorder = Callable[[Callable[[], Tensor]], tuple[Callable[[], None], Tensor]]
"""Takes a computation; returns what runs it again, and where its result lies then."""

_Held = tuple[list[Tensor], Callable[[], None], Tensor]


def record_cuda(compute: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    """A CUDA graph of a computation whose tensors stay where they are."""
    # Libraries prepare themselves at a first call, which must not be recorded.
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(2):
            compute()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = compute()
    return graph.replay, result


def replayed(step: Step, record: Recorder = record_cuda) -> Step:
    """The step, recorded for each shape that it meets; where that fails, as it is, and logged.

    Recording computes a step more than once, which is harmless: it writes the same keys and values
    to the same places.
    """
    recorded: dict[tuple[int, ...], _Held] = {}
    failed = False

    def run(cache: SharedCache, view: View, last: Tensor, positions: Tensor) -> Tensor:
        nonlocal failed
        if failed:
            return step(cache, view, last, positions)
        parts = [last, positions, view.mask, view.places]
        parts += [part for part in (view.to_grid, view.to_rows) if part is not None]
        key = (len(last), view.prompt_width, view.own_width, view.slots, len(parts))
        if key not in recorded:
            # Fewer rows mean that the cache has moved: what is recorded would write to the old one
            for old in [old for old in recorded if old[0] != len(last)]:
                del recorded[old]
            held = [part.clone() for part in parts]
            to_grid, to_rows = held[4:] or (None, None)
            still = replace(view, mask=held[2], places=held[3], to_grid=to_grid, to_rows=to_rows)
            try:
                replay, logits = record(lambda: step(cache, still, held[0], held[1]))
            except RuntimeError as error:
                logger.warning("a step cannot be recorded, its kernels start one by one: %s", error)
                failed = True
                return step(cache, view, last, positions)
            recorded[key] = (held, replay, logits)
        held, replay, logits = recorded[key]
        for mine, theirs in zip(held, parts, strict=True):
            mine.copy_(theirs)
        replay()
        return logits

    return run

"""The seam between the loop and a training method: a method is a few functions of its items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn


class Item(Protocol):
    """What a method learns from; the id is what errors name."""

    @property
    def id(self) -> str:
        """Unique in its training."""
        ...


ItemT = TypeVar("ItemT", bound=Item)


@dataclass(frozen=True, kw_only=True)
class Method(Generic[ItemT]):
    """A training method, as the loop sees it.

    `columns`: names of what `losses` returns. `losses(module, items, device)` returns one tensor
    of shape (items,) per column; `loss` is the one to go backward through. `figures` sums up such
    columns over many items. `quality` of dev figures picks the best step: higher is better, later
    entries break ties. `length`: tokens of an item, to batch neighbors.
    """

    name: str
    columns: tuple[str, ...]
    losses: Callable[[nn.Module, Sequence[ItemT], torch.device], Mapping[str, Tensor]]
    figures: Callable[[Mapping[str, Tensor]], dict[str, float]]
    quality: Callable[[Mapping[str, float]], tuple[float, ...]]
    length: Callable[[ItemT], int]

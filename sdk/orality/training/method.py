"""The seam between the loop and a training method: a method is a few functions of its items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from torch import Tensor

from orality.training.rows.packing import Group


class Item(Protocol):
    """What a method learns from: a prompt with continuations, and what is said about them."""

    @property
    def ids(self) -> Sequence[str]:
        """Names of what the item holds (its pairs, its sequence), unique in their training.

        Steps count them, losses are means over them, errors name them.
        """
        ...

    @property
    def group(self) -> Group:
        """What the model reads; it is never split."""
        ...


ItemT = TypeVar("ItemT", bound=Item)


def whole(item: ItemT, epoch: int, seed: int) -> ItemT:
    """The item itself, in every epoch."""
    return item


@dataclass(frozen=True, kw_only=True)
class Method(Generic[ItemT]):
    """A training method, as the loop sees it.

    `columns`: names of what `losses` returns. `losses(items, sums)` gets the log-probabilities of
    the items' continuations, shape (continuations,), in order, and returns one tensor of shape
    (ids,) per column; `loss` is the one to go backward through. `figures` sums up such columns
    over many items. `quality` of dev figures picks the best step: higher is better, later entries
    break ties. `draw(item, epoch, seed)`: what of a training item an epoch learns from. It depends
    on its arguments alone, and keeps as many ids in every epoch; dev items are always whole.
    """

    name: str
    columns: tuple[str, ...]
    losses: Callable[[Sequence[ItemT], Tensor], Mapping[str, Tensor]]
    figures: Callable[[Mapping[str, Tensor]], dict[str, float]]
    quality: Callable[[Mapping[str, float]], tuple[float, ...]]
    draw: Callable[[ItemT, int, int], ItemT] = whole

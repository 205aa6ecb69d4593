"""Attention of many rows to prompts that are kept once, and to what each row wrote itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from orality_slm_twist.decoder import Decoder

_CHUNK = 128
"""Sums over more columns are made in pieces: MKL would choose pieces by the width of all, and a
row's rounding would depend on how much the others had written."""


@dataclass(slots=True)
class View:
    """What one step sees: columns of the prompts and of what rows wrote, and who is where.

    `mask`: 0 or -inf, shape (rows, prompt_width + own_width). `places`: where each row's new keys,
    then values, go. `slots`: how many prompts, the first ones. `to_grid`, `to_rows`: between rows
    and the grid (prompt, kv head, sample); None where they are the same.
    """

    prompt_width: int
    own_width: int
    mask: Tensor
    places: Tensor
    slots: int
    to_grid: Tensor | None
    to_rows: Tensor | None


class SharedCache:
    """Keys and values: of each prompt once, and of each row from its first own token on.

    Rows come in homes of `samples`: row = home * samples + n. Everything of a row, a *block*, is
    ordered (home, kv head, n), so a home whose rows continue one prompt is one product with it.
    Processors read twice as fast where no unused room lies between blocks: let it grow instead.
    """

    def __init__(
        self,
        decoder: Decoder,
        *,
        prompts: int,
        prompt_room: int,
        homes: int,
        samples: int,
        own_room: int,
        own_most: int,
    ) -> None:
        self.homes, self.samples = homes, samples
        self.prompt_room, self.own_room = prompt_room, own_room
        self._decoder = decoder
        # Zeros, as weights of 0 times whatever memory held might be no number.
        kv, size = decoder.kv_heads, decoder.head_size
        self._prompts = _zeros(decoder, (2, prompts, kv, prompt_room, size))
        # Flat, with room for the most there will be; the spare one takes what moves.
        self._stores = _zeros(decoder, (2 * homes * kv * samples * own_most * size,))
        self._spare: Tensor | None = None
        shape = (2, homes * kv * samples, own_room, size)
        self._own = [_shaped(store, shape) for store in self._stores]
        self._make_room()

    def keep_prompts(self, layer: int, slots: Tensor, both: Tensor) -> None:
        """Write prompts' keys and values, shape (prompts, length, 2, kv heads, size)."""
        room = self._prompts[layer][:, :, :, : both.shape[1]]
        room.index_copy_(1, slots, both.permute(2, 0, 3, 1, 4))

    def blocks(self, rows: Tensor) -> Tensor:
        """The blocks of rows, (n,) to (n, kv heads)."""
        heads = torch.arange(self._decoder.kv_heads, device=rows.device)
        home, number = rows // self.samples, rows % self.samples
        return (home[:, None] * len(heads) + heads) * self.samples + number[:, None]

    def ordered(self, blocks: Tensor) -> Tensor:
        """Something of each row and kv head, (rows, kv heads), in the order of blocks."""
        kv = self._decoder.kv_heads
        return blocks.view(-1, self.samples, kv).transpose(1, 2).reshape(-1)

    def places(self) -> Tensor:
        """Where each row's keys and values begin: (rows, 2, kv heads), in tokens."""
        rows = torch.arange(self.homes * self.samples, device=self._decoder.device)
        blocks = self.blocks(rows)
        return torch.stack((blocks, blocks + len(rows) * blocks.shape[1]), 1) * self.own_room

    def grow(self, own_room: int) -> None:
        """Make room for `own_room` tokens in every row."""
        self.own_room = own_room
        for layer, own in enumerate(self._own):
            both, count, written, size = own.shape
            moved = self._move(layer, (both, count, own_room, size))
            moved[:, :, :written] = own
            moved[:, :, written:] = 0.0
        self._make_room()

    def shrink(self, rows: Tensor, homes: int) -> None:
        """Keep only these rows (homes * samples of them), in this order."""
        kept = self.ordered(self.blocks(rows))
        for layer, own in enumerate(self._own):
            moved = self._move(layer, (own.shape[0], len(kept), *own.shape[2:]))
            torch.index_select(own, 1, kept, out=moved)
        self.homes = homes
        self._make_room()

    def _move(self, layer: int, shape: tuple[int, ...]) -> Tensor:
        """The layer's place from now on; what it held stays where it was until the next layer's."""
        place = torch.empty_like(self._stores[layer]) if self._spare is None else self._spare
        self._stores[layer], self._spare = place, self._stores[layer]
        self._own[layer] = _shaped(place, shape)
        return self._own[layer]

    def _make_room(self) -> None:
        self._seen: dict[tuple[int, int, int, int], _Parts] = {}
        d = self._decoder
        shape = (self.homes, d.kv_heads, self.samples, d.group, d.head_size)
        self._queries = torch.empty(shape, dtype=d.dtype, device=d.device)

    def attend(self, layer: int, queries: Tensor, both: Tensor, view: View) -> Tensor:
        """Write the rows' new keys and values, then attend: the arguments of `decoder.Attend`."""
        d, seen = self._decoder, self._parts(layer, view)
        size, group, samples = d.head_size, d.group, self.samples
        seen.own.index_copy_(0, view.places, both.reshape(-1, size))
        split = queries.view(self.homes, samples, d.kv_heads, group, size).transpose(1, 2)
        blocks = torch.mul(split, d.scale, out=self._queries).view(-1, group, size)
        grid = _moved(blocks, view.to_grid).view(-1, samples * group, size)
        scores = torch.bmm(grid, seen.prompt_keys).view(-1, group, view.prompt_width)
        scores = torch.cat((_moved(scores, view.to_rows), _scores(blocks, seen.own_keys)), -1)
        width = view.prompt_width + view.own_width
        scores.view(self.homes, d.kv_heads, samples, group, width).add_(
            view.mask.view(self.homes, 1, samples, 1, width)
        )
        weights = scores.softmax(-1, dtype=torch.float32).to(d.dtype)  # (blocks, group, width)
        own_weights = weights[:, :, view.prompt_width :]
        if view.to_grid is None:
            weights = weights.view(-1, samples * group, width)[:, :, : view.prompt_width]
        else:
            weights = _moved(weights[:, :, : view.prompt_width], view.to_grid)
            weights = weights.view(-1, samples * group, view.prompt_width)
        mixed = _weighed(weights, seen.prompt_values).view(-1, group, size)
        mixed = _weighed(own_weights, seen.own_values, onto=_moved(mixed, view.to_rows))
        split = mixed.view(self.homes, d.kv_heads, samples, group, size).transpose(1, 2)
        return split.reshape(self.homes * samples, d.heads * size)

    def _parts(self, layer: int, view: View) -> _Parts:
        """What a step sees of a layer: the same for many steps."""
        key = (layer, view.prompt_width, view.own_width, view.slots)
        if key not in self._seen:
            own, prompts = self._own[layer], self._prompts[layer]
            own_keys, own_values = own[:, :, : view.own_width].unbind(0)
            keys, values = (
                prompts[:, : view.slots].flatten(1, 2)[:, :, : view.prompt_width].unbind(0)
            )
            self._seen[key] = _Parts(
                own.view(-1, own.shape[-1]), own_keys, own_values, keys.transpose(1, 2), values
            )
        return self._seen[key]


@dataclass(frozen=True, slots=True)
class _Parts:
    """`own`: keys, then values, of all blocks by token; `prompt_keys`: turned for products."""

    own: Tensor
    own_keys: Tensor
    own_values: Tensor
    prompt_keys: Tensor
    prompt_values: Tensor


def _shaped(store: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The beginning of flat memory."""
    return store[: math.prod(shape)].view(shape)


def _zeros(decoder: Decoder, shape: tuple[int, ...]) -> list[Tensor]:
    """One tensor for each layer."""
    return [torch.zeros(shape, dtype=decoder.dtype, device=decoder.device) for _ in decoder.layers]


def _scores(blocks: Tensor, keys: Tensor) -> Tensor:
    """(blocks, group, size) times (blocks, columns, size) to (blocks, group, columns)."""
    if blocks.shape[1] == 1:  # keys first: a processor then reads them in their order
        return torch.bmm(keys, blocks.transpose(1, 2)).transpose(1, 2)
    return torch.bmm(blocks, keys.transpose(1, 2))


def _moved(blocks: Tensor, to: Tensor | None) -> Tensor:
    return blocks if to is None else blocks.index_select(0, to)


def _weighed(weights: Tensor, values: Tensor, onto: Tensor | None = None) -> Tensor:
    """Batched product, added to `onto` in place where given."""
    for begin in range(0, weights.shape[-1], _CHUNK):
        some, of = weights[..., begin : begin + _CHUNK], values[:, begin : begin + _CHUNK]
        onto = torch.bmm(some, of) if onto is None else onto.baddbmm_(some, of)
    assert onto is not None
    return onto

"""Keys and values of a batch that is being written: room for all of it from the start."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import Cache
from transformers.cache_utils import DynamicLayer


def window_of(module: nn.Module) -> int | None:
    """How many tokens back the attention of some layer reaches; None where it reaches all."""
    config: Any = getattr(module, "config", None)
    if not hasattr(config, "get_text_config"):
        return None
    decoder = config.get_text_config(decoder=True)
    window = getattr(decoder, "sliding_window", None)
    kinds = set(getattr(decoder, "layer_types", None) or ["full_attention"])
    slides = "sliding_attention" in kinds or (
        kinds == {"full_attention"} and getattr(decoder, "use_sliding_window", True)
    )
    return window if window and slides else None


def roomy_cache(module: nn.Module, *, room: int) -> Cache | None:
    """An empty cache for `module` in which each row may grow to `room` tokens without being copied.

    transformers' own copies everything that it holds at every step. None, for that one, where a
    layer does not keep plain keys and values of every token (a sliding window, a recurrent state).
    """
    config: Any = getattr(module, "config", None)
    if not hasattr(config, "get_text_config"):
        return None
    decoder = config.get_text_config(decoder=True)
    kinds = set(getattr(decoder, "layer_types", None) or ["full_attention"])
    window = getattr(decoder, "sliding_window", None)
    if kinds != {"full_attention"} or (window and getattr(decoder, "use_sliding_window", True)):
        return None
    return Cache(layers=[_RoomyLayer(room) for _ in range(decoder.num_hidden_layers)])


class _RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values, views into (rows, heads, room, head size)."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room
        self._held: tuple[Tensor, Tensor] | None = None
        self._length = 0

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Write the new tokens behind the others; returns all of them."""
        begin, self._length = self._length, self._length + key_states.shape[2]
        if self._held is None:
            self._held = (self._make_room(key_states), self._make_room(value_states))
            self.dtype, self.device = key_states.dtype, key_states.device
            self.is_initialized = True
        for held, new in zip(self._held, (key_states, value_states), strict=True):
            held[:, :, begin : self._length] = new
        return self._show()

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Each row `repeats` times, one after another."""
        self._each(lambda part: part.repeat_interleave(repeats, dim=0))

    def batch_select_indices(self, indices: Tensor) -> None:
        """Only these rows, in this order."""
        self._each(lambda part: part.index_select(0, indices))

    def _each(self, change: Any) -> None:
        if self._held is None:
            return
        # Only what is written is moved; the room behind it holds nothing yet.
        changed = [change(part[:, :, : self._length]) for part in self._held]
        self._held = (self._make_room(changed[0]), self._make_room(changed[1]))
        for held, part in zip(self._held, changed, strict=True):
            held[:, :, : self._length] = part
        self._show()

    def _make_room(self, like: Tensor) -> Tensor:
        rows, heads, _, size = like.shape
        return like.new_empty(rows, heads, self._room, size)

    def _show(self) -> tuple[Tensor, Tensor]:
        assert self._held is not None
        self.keys, self.values = (part[:, :, : self._length] for part in self._held)
        return self.keys, self.values

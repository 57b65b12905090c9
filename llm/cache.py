"""A key-value cache that appends in place, so that a step does not copy all that came before it."""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import DynamicLayer

ROOM = 64  # tokens that fit before the next copy


class RoomyLayer(DynamicLayer):  # type: ignore[misc]  # transformers is untyped
    """One layer's keys and values, (rows, heads, tokens, width), as a view into a buffer with room at its end.

    The layer that it replaces concatenates at every token, which is a quarter of a step for a small model on a CPU.
    Selecting or repeating rows makes new tensors; the next update then gives them room again.
    """

    _buffers: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Append the states of new tokens, and return all keys and all values."""
        if not self.is_initialized:
            return super().update(key_states, value_states, *args, **kwargs)
        held = self.keys.shape[-2]
        total = held + key_states.shape[-2]
        if self._buffers is None or self._buffers[0].data_ptr() != self.keys.data_ptr() or total > self._size():
            self._buffers = (_with_room(self.keys, total), _with_room(self.values, total))
        keys, values = self._buffers
        keys[:, :, held:total] = key_states
        values[:, :, held:total] = value_states
        self.keys, self.values = keys[:, :, :total], values[:, :, :total]
        return self.keys, self.values

    def _size(self) -> int:
        return 0 if self._buffers is None else self._buffers[0].shape[-2]


def give_room(cache: Any) -> None:
    """Replace the plain growing layers of a cache by roomy ones; other kinds of layers are left as they are."""
    for place, layer in enumerate(cache.layers):
        if type(layer) is DynamicLayer and layer.is_initialized:
            roomy = RoomyLayer()
            roomy.__dict__.update(vars(layer))
            cache.layers[place] = roomy


def _with_room(states: torch.Tensor, total: int) -> torch.Tensor:
    rows, heads, held, width = states.shape
    buffer = states.new_empty(rows, heads, total + ROOM, width)
    buffer[:, :, :held] = states
    return buffer

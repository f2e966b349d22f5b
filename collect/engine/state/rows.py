"""Texts of different lengths continue as rows of one state, whose keys are padded on the left."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicLayer

from .forking import State, copied_layers, select_rows
from .own_caches import joined_linear

__all__ = ["StateRows"]

_ROOM = 64
"""Tokens that keys and values can grow by before they are moved."""


class StateRows:
    """The state of several texts, a row each.

    Recurrent and convolutional states have no length. Keys and values do: those of a shorter text
    stand at the end of its row, behind columns that the mask hides.

    Attributes
    ----------
    state : State
        Give it to the model, which changes it in place; None while there is no row.
    lengths : list of int
        Tokens behind each row.

    """

    def __init__(self) -> None:
        self.state: State = None
        self.lengths: list[int] = []

    def add(self, state: State, rows: int, length: int) -> None:
        """Append the rows of a state, which have all read ``length`` tokens."""
        parts = [(self.state, max(self.lengths))] if self.lengths else []
        self.lengths = [*self.lengths, *[length] * rows]
        self.state = _stacked([*parts, (state, length)])

    def keep(self, rows: Sequence[int]) -> None:
        """Leave these rows alone, in this order."""
        before = max(self.lengths)
        self.lengths = [self.lengths[row] for row in rows]
        if not self.lengths:
            self.state = None
            return
        select_rows(self.state, torch.tensor(rows))
        if max(self.lengths) < before:
            self.state = _stacked([(self.state, max(self.lengths))])

    def mask(self) -> Tensor | None:
        """Return what a pass over one more token of each row sees, None if that is everything.

        Returns
        -------
        tensor of shape (n_rows, longest + 1), optional
            1 for the tokens of a row, 0 for the columns before them.

        """
        longest = max(self.lengths)
        if min(self.lengths) == longest or not any(map(_attends, self.state.layers)):
            return None
        lengths = torch.tensor(self.lengths)[:, None]
        return (torch.arange(longest + 1)[None] >= longest - lengths).long()

    def advance(self) -> None:
        """Count a token that every row has read."""
        self.lengths = [length + 1 for length in self.lengths]


class _RoomyLayer(DynamicLayer):  # type: ignore[no-untyped-call]  # its base hooks subclasses untyped
    """Keys and values that grow in place: one token more does not copy all those before it."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
        self.lazy_initialization(keys, values)
        self._hold(keys, values)

    def _hold(self, *states: Tensor) -> None:
        self._length = states[0].shape[2]
        self._room = [
            state.new_empty(_with_length(state, self._length + _ROOM)) for state in states
        ]
        for buffer, state in zip(self._room, states, strict=True):
            buffer[:, :, : self._length] = state
        self.keys, self.values = self._held

    @property
    def _held(self) -> tuple[Tensor, Tensor]:
        keys, values = (buffer[:, :, : self._length] for buffer in self._room)
        return keys, values

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        start, stop = self._length, self._length + key_states.shape[2]
        if stop > self._room[0].shape[2]:
            self._hold(*self._held)
        for buffer, states in zip(self._room, (key_states, value_states), strict=True):
            buffer[:, :, start:stop] = states
        self._length = stop
        self.keys, self.values = self._held
        return self._held

    def reorder_cache(self, beam_idx: torch.LongTensor) -> None:
        self._hold(*(states.index_select(0, beam_idx.to(states.device)) for states in self._held))


def _with_length(states: Tensor, length: int) -> tuple[int, ...]:
    return (*states.shape[:2], length, states.shape[3])


def _attends(layer: Any) -> bool:
    return getattr(layer, "keys", None) is not None


def _stacked(parts: Sequence[tuple[State, int]]) -> State:
    """Return one state with the rows of several, given with the tokens that the longest has."""
    total = max(length for _, length in parts)
    new = copy.copy(parts[0][0])
    new.layers = copied_layers(parts[0][0])
    for place, layer in enumerate(new.layers):
        layers = [state.layers[place] for state, _ in parts]
        for name in ("conv_states", "recurrent_states"):
            states = getattr(layer, name, {})
            for i, first in states.items():
                if first is not None:
                    states[i] = torch.cat([getattr(other, name)[i] for other in layers])
        if not _attends(layer):
            continue
        window = getattr(layer, "sliding_window", None)
        held = total if window is None else min(total, window - 1)
        keys, values = (
            torch.cat([_padded(getattr(other, name), held) for other in layers])
            for name in ("keys", "values")
        )
        if window is not None:
            layer.cumulative_length = total
        _stack_indices(layer, layers, held)
        if type(layer) in (DynamicLayer, _RoomyLayer):
            new.layers[place] = _RoomyLayer(keys, values)
        else:
            layer.keys, layer.values = keys, values
    joined_linear(new, [state for state, _ in parts])
    return new


def _stack_indices(new: Any, layers: Sequence[Any], held: int) -> None:
    """Give a layer that chooses tokens by an index the keys of that index, where it has any."""
    if getattr(new, "indexer_keys", None) is not None:  # (n_rows, length, d)
        keys = [_padded(layer.indexer_keys[:, None], held)[:, 0] for layer in layers]
        new.indexer_keys = torch.cat(keys)
    if getattr(new, "indexer_position_ids", None) is not None:  # (kinds, n_rows, length)
        places = [_padded(layer.indexer_position_ids[..., None], held)[..., 0] for layer in layers]
        new.indexer_position_ids = torch.cat(places, 1)
    if getattr(new, "idx_keys", None) is not None:  # (n_rows, n_heads, length, d)
        new.idx_keys = torch.cat([_padded(layer.idx_keys, held) for layer in layers])


def _padded(states: Tensor, length: int) -> Tensor:
    """Return the last ``length`` columns, after zeros where there are fewer."""
    missing = length - states.shape[2]
    if missing <= 0:
        return states[:, :, -length:]
    # zeros: what a mask hides still enters products, and must not be NaN there
    return torch.cat([states.new_zeros(_with_length(states, missing)), states], 2)

"""A model that keeps its state in a way of its own gets one whose rows can be chosen and joined."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from ..forward import base_model

__all__ = ["ListedState", "joined_linear", "own_cache", "select_linear"]

_NAMES = {"minimax": "MiniMaxCache"}
"""Their names in the modules of the models, by model type."""


_LISTED = {"rwkv"}
"""Model types whose state is a list of tensors."""


class ListedState:
    """The state of RWKV: a list of tensors (rows, width, layers) that its forward pass changes.

    Attributes
    ----------
    tensors : list of tensor, optional
        None before any token.

    """

    argument = "state"
    """Name that the forward pass takes it by."""
    layers: Sequence[Any] = ()
    """No layer has keys and values."""

    def __init__(self) -> None:
        self.tensors: list[Any] | None = None

    def before(self, n_tokens: int) -> list[Any] | None:
        """Return what a pass over as many tokens of each row is given.

        For one token of several rows, the model would take the tokens that it mixes with the one
        before, (rows, width), for those of a single row.
        """
        if self.tensors is None or n_tokens > 1:
            return self.tensors
        return [*map(_Shifted, self.tensors[:2]), *self.tensors[2:]]

    def reorder_cache(self, rows: Tensor) -> None:
        """Leave these rows alone, in this order, in tensors of their own."""
        if self.tensors is not None:
            self.tensors = [held.index_select(0, rows.to(held.device)) for held in self.tensors]


class _Shifted:
    """Gives the earlier token of each row as a sequence of one, and takes the newest."""

    def __init__(self, held: Tensor) -> None:
        self._held = held

    def __getitem__(self, index: Any) -> Tensor:
        return self._held[index].unsqueeze(1)

    def __setitem__(self, index: Any, newest: Tensor) -> None:
        self._held[index] = newest


def own_cache(model: nn.Module) -> Any:
    """Return a new cache of the kind that only this model takes, None if it takes the usual one."""
    base = base_model(model)
    model_type = base.config.get_text_config(decoder=True).model_type
    if model_type in _LISTED:
        return ListedState()
    name = _NAMES.get(model_type)
    if name is None:
        return None
    return _subclass(getattr(sys.modules[type(base).__module__], name))()


@cache
def _subclass(own: Any) -> Any:
    """Return a subclass that counts its tokens by a layer of attention.

    MiniMax-01's own asks its first layer, which as a rule is linear and has no keys: what goes on
    would be masked as if nothing stood before it.
    """

    class OwnCache(own):  # type: ignore[misc]  # a class that is known when a model is loaded
        def get_mask_sizes(self, query_length: int, layer_idx: int) -> Any:
            return super().get_mask_sizes(query_length, self._filled(layer_idx))

        def get_seq_length(self, layer_idx: int = 0) -> int:
            return int(super().get_seq_length(self._filled(layer_idx)))

        def _filled(self, layer_idx: int) -> int:
            return next(
                (i for i, layer in enumerate(self.layers) if layer.is_initialized), layer_idx
            )

    return OwnCache


def select_linear(state: Any, rows: Tensor) -> None:
    """Choose rows of the linear layers that ``reorder_cache`` leaves as they are."""
    if hasattr(state, "linear_cache"):  # a tensor per layer, an empty list for attention
        state.linear_cache = [
            held if isinstance(held, list) else held.index_select(0, rows.to(held.device))
            for held in state.linear_cache
        ]


def joined_linear(new: Any, states: Sequence[Any]) -> None:
    """Give a state the rows of several, for the linear layers of a cache of its own."""
    if isinstance(new, ListedState):
        tensors = (state.tensors for state in states)
        new.tensors = [torch.cat(held) for held in zip(*tensors, strict=True)]
    elif hasattr(new, "linear_cache"):
        new.linear_cache = [
            held[0] if isinstance(held[0], list) else torch.cat(held)
            for held in zip(*(state.linear_cache for state in states), strict=True)
        ]

"""A model that requires its own cache class gets one whose rows can be selected and joined."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from ..forward import base_model

__all__ = ["joined_linear", "own_cache", "select_linear"]

_NAMES = {"minimax": "MiniMaxCache"}
"""Their names in the modules of the models, by model type."""


def own_cache(model: nn.Module) -> Any:
    """Return a new cache of the kind that only this model takes, None if it takes the usual one."""
    base = base_model(model)
    name = _NAMES.get(base.config.get_text_config(decoder=True).model_type)
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
    if hasattr(new, "linear_cache"):
        new.linear_cache = [
            held[0] if isinstance(held[0], list) else torch.cat(held)
            for held in zip(*(state.linear_cache for state in states), strict=True)
        ]

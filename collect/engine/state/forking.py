"""A model with recurrent or convolutional layers continues from a state, and states are copied."""

from __future__ import annotations

import copy
from typing import Any

import torch
import transformers.cache_utils as cache_utils
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache

from ..forward import base_model
from .own_caches import select_linear

__all__ = [
    "ATTENTION",
    "FAMILIES",
    "State",
    "copied_layers",
    "fork",
    "goes_on_from_states",
    "has_recurrent_state",
    "select_rows",
    "state_line",
]

FAMILIES = {
    "bailing_hybrid",
    "bamba",
    "falcon_h1",
    "falcon_mamba",
    "granitemoehybrid",
    "jamba",
    "kimi_linear",
    "lara_mini",
    "lfm2",
    "lfm2_moe",
    "lfm3",
    "mamba",
    "mamba2",
    "minimax",
    "nemotron_h",
    "olmo_hybrid",
    "qwen3_5_moe_text",
    "qwen3_5_text",
    "qwen3_next",
    "qwen4_exp_text",
    "rwkv",
    "zamba",
    "zamba2",
    "zaya",
}
"""Model types whose states go on exactly, over chunks of two tokens or more and after a copy.

The scans of Mamba, Falcon Mamba, Jamba and Zamba do so by
:func:`~capspace.collect.engine.state.scan.continued_scans`. Not RecurrentGemma, whose state is kept
in its modules.
"""

_OF_ITS_OWN = {
    "deepseek_v4": "attends to compressed stretches of earlier tokens",
    "recurrent_gemma": "carries a recurrent state in its modules",
}
"""What a model has that cannot be copied, by model type."""

ATTENTION = frozenset({"attention", "full_attention", "sliding_attention"})
"""Types of layers, as configurations name them, that keep keys and values alone."""

_LAYERS = (
    *("LinearAttentionLayer", "LinearAttentionAndFullAttentionLayer"),
    *("DynamicLayer", "DynamicSlidingWindowLayer", "DynamicIndexedLayer", "DummyLayer"),
    *("LinearAttentionAndSlidingWindowAttentionLayer", "MiniMaxM3VLSparseCacheLayer"),
)

State = Any
"""A transformers cache of all layers, or what a model has instead."""


def has_recurrent_state(model: nn.Module) -> bool:
    """Return whether layers of a model keep a state in which earlier tokens are mixed."""
    base = base_model(model)
    text = base.config.get_text_config(decoder=True)
    types = getattr(text, "layer_types", None) or []
    if types and ATTENTION.issuperset(types):
        return False
    linear = any(name.startswith("LinearAttention") for name in _cache_layers(text))
    return linear or bool(getattr(base, "_is_stateful", False))


def state_line(model: nn.Module) -> str:
    """Return a clause that says what state a model keeps of earlier tokens."""
    base = base_model(model)
    kind = base.config.get_text_config(decoder=True).model_type
    return f"{type(base).__name__} {_OF_ITS_OWN.get(kind, 'carries a recurrent state')}"


def goes_on_from_states(model: nn.Module) -> bool:
    """Return whether the engine may go on from copies of a model's state: by type and cache.

    Where layers are recurrent, the type is one of `FAMILIES`. Keys and values of other models are
    copied as they are.
    """
    base = base_model(model)
    text = base.config.get_text_config(decoder=True)
    if not type(base).__module__.startswith("transformers."):
        return False
    if has_recurrent_state(model) and text.model_type not in FAMILIES:
        return False
    layers = _cache_layers(text)
    return bool(layers) and set(_LAYERS).issuperset(layers)


def _cache_layers(text: Any) -> list[str]:
    """Return the classes of a model's cache, a layer each; none if transformers knows none."""
    if not hasattr(cache_utils, "LinearAttentionLayer"):
        return []  # before transformers 5 each family had a cache of its own
    try:
        return [type(layer).__name__ for layer in DynamicCache(config=text).layers]
    except (AttributeError, KeyError):  # layers of a kind that has a cache of its own
        return []


def fork(state: State, rows: int) -> State:
    """Return a state of ``rows`` equal rows, which shares no memory with the state of one row."""
    new = copy.copy(state)
    new.layers = copied_layers(state)
    select_rows(new, torch.zeros(rows, dtype=torch.long))
    return new


def select_rows(state: State, rows: Tensor) -> None:
    """Leave these rows alone in a state, in this order; a row may be repeated."""
    state.reorder_cache(rows)
    select_linear(state, rows)


def copied_layers(state: State) -> list[Any]:
    """Return the layers of a state, whose own tensors may then be replaced."""
    layers = [copy.copy(layer) for layer in state.layers]
    for layer in layers:
        for name, value in vars(layer).items():
            if isinstance(value, dict):
                setattr(layer, name, dict(value))
    return layers

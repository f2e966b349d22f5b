"""A model with recurrent or convolutional layers goes on from a state, and states are copied."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import transformers.cache_utils as cache_utils
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache

from ..forward import CACHE_NAMES, UnsupportedForwardError, base_model, first_line
from ..tree import IntArray

__all__ = ["FAMILIES", "State", "StateForward", "fork", "has_forkable_state"]

FAMILIES = {
    "bamba",
    "falcon_h1",
    "granitemoehybrid",
    "kimi_linear",
    "lara_mini",
    "lfm2",
    "lfm2_moe",
    "lfm3",
    "nemotron_h",
    "olmo_hybrid",
    "qwen3_5_moe_text",
    "qwen3_5_text",
    "qwen3_next",
}
"""Model types whose states go on exactly, over chunks of two tokens or more and after a copy.

Not Jamba, Mamba, Falcon Mamba and Zamba, whose scan begins at zero in every chunk; not
RecurrentGemma, whose state is kept in its modules.
"""

_LAYERS = (
    *("LinearAttentionLayer", "LinearAttentionAndFullAttentionLayer"),
    *("DynamicLayer", "DynamicSlidingWindowLayer", "DummyLayer"),
)

State = Any
"""A transformers cache of all layers."""


def has_forkable_state(model: nn.Module) -> bool:
    """Return whether the engine can copy the states of a model: by its type and its cache."""
    base = base_model(model)
    config = getattr(base, "config", None)
    if config is None or not hasattr(cache_utils, "LinearAttentionLayer"):
        return False  # before transformers 5 each family had a cache of its own
    text = config.get_text_config(decoder=True)
    if text.model_type not in FAMILIES or not type(base).__module__.startswith("transformers."):
        return False
    return all(type(layer).__name__ in _LAYERS for layer in DynamicCache(config=text).layers)


def fork(state: State, rows: int) -> State:
    """Return a state of ``rows`` equal rows, which shares no memory with the state of one row."""
    new = copy.copy(state)
    new.layers = [copy.copy(layer) for layer in state.layers]
    for layer in new.layers:
        for name, value in vars(layer).items():
            if isinstance(value, dict):
                setattr(layer, name, dict(value))
    new.reorder_cache(torch.zeros(rows, dtype=torch.long))
    return new


@dataclass(frozen=True)
class StateForward:
    """How a model with states is called.

    Attributes
    ----------
    model : Module
        The model.
    cache_name : str
        Argument that takes the state.

    """

    model: nn.Module
    cache_name: str

    @classmethod
    def of(cls, model: nn.Module) -> StateForward:
        """Return how ``model`` is called, found by trying.

        Raises
        ------
        UnsupportedForwardError
            No name of the state works.

        """
        reason = ""
        for name in CACHE_NAMES:
            forward = cls(model, name)
            state = forward.empty()
            try:
                with warnings.catch_warnings(), torch.no_grad():
                    warnings.simplefilter("ignore")  # of names that go out of use
                    forward(np.array([[1, 2, 1]]), np.arange(3)[None], np.array([2]), state)
            except Exception as error:  # a stranger's code may raise anything
                reason = first_line(error)
                continue
            if any(_is_filled(layer) for layer in state.layers):
                return forward
            reason = "the state that it is given stays empty"
        raise UnsupportedForwardError(f"its code does not take the engine's inputs ({reason})")

    def empty(self) -> State:
        """Return the state before any token."""
        config = base_model(self.model).config.get_text_config(decoder=True)
        return DynamicCache(config=config)

    def __call__(
        self, tokens: IntArray, positions: IntArray, columns: IntArray, state: State
    ) -> Tensor:
        """Read tokens, going on from a state, and return the logits of some of them.

        Parameters
        ----------
        tokens, positions : arrays of shape (n_rows, n)
            Token ids, and where in its text each of them stands.
        columns : array of shape (m,)
            Which tokens of each row, at least one.
        state : State
            Of as many rows, or empty; changed in place.

        Returns
        -------
        tensor of shape (n_rows, m, vocabulary)

        """
        device = next(self.model.parameters()).device
        logits: Tensor = self.model(
            input_ids=torch.from_numpy(tokens).to(device),
            position_ids=torch.from_numpy(positions).to(device),
            use_cache=True,
            logits_to_keep=torch.from_numpy(columns).to(device),
            **{self.cache_name: state},
        ).logits
        return logits


def _is_filled(layer: Any) -> bool:
    keys = getattr(layer, "keys", None)
    states = getattr(layer, "conv_states", None)
    return (keys is not None and keys.numel() > 0) or any(
        state is not None for state in (states or {}).values()
    )

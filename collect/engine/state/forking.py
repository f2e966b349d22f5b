"""A model with recurrent or convolutional layers continues from a state, and states are copied."""

from __future__ import annotations

import copy
import inspect
import math
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
import transformers.cache_utils as cache_utils
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache

from ..attention.backends import branches
from ..attention.blocks import attention_over_tree
from ..attention.kernels import HALF
from ..attention.rows import RowsAttention, row_chunk
from ..forward import (
    CACHE_NAMES,
    Autocast,
    UnsupportedForwardError,
    base_model,
    computing_dtype,
    first_line,
)
from ..tree import IntArray
from .lightning import by_blocks, lightning_layers
from .own_caches import ListedState, own_cache, select_linear
from .scan import continued_scans, delta_piece, layers_in_pieces, scanning_layers, short_pieces
from .size import StateSize

__all__ = [
    "ATTENTION",
    "FAMILIES",
    "SHORTEST_PASS",
    "State",
    "StateForward",
    "copied_layers",
    "cuts",
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

SHORTEST_PASS = 64
"""Long stretches are cut at multiples of what the scan of a recurrent layer takes at once."""

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


def cuts(start: int, length: int, most: int, shortest: int = SHORTEST_PASS) -> IntArray:
    """Return where a stretch of tokens is cut into passes of about ``most`` tokens.

    Parameters
    ----------
    start : int
        Position of its first token; no text is cut but at multiples of a scan's own pieces.
    length : int
        Tokens of the stretch.
    most : int
        Tokens per pass.
    shortest : int
        Tokens of the shortest pass, of which every cut is a multiple.

    Returns
    -------
    array
        Places in the stretch, none of which leaves a piece of a single token: it would be
        computed step by step, which some models do not do exactly so.

    """
    most = max(shortest, most // shortest * shortest)
    places = np.arange(start // most * most + most, start + length, most) - start
    usable: IntArray = places[(places != 1) & (places != length - 1)]
    return usable


@dataclass(frozen=True)
class StateForward:
    """How a model with states is called.

    Attributes
    ----------
    model : Module
        The model.
    cache_name : str
        Argument that takes the state.
    takes_positions : bool
        Whether it takes ``position_ids``; it counts the tokens of its state otherwise, or needs no
        position.
    picks_columns : bool
        Whether ``logits_to_keep`` names the tokens whose logits are computed; all are otherwise.
    scanning : tuple of Module
        The layers whose scans go on with help.
    in_pieces : tuple of Module
        The layers whose scans take shorter pieces.
    lightning : tuple of Module
        The layers that go on from a state by blocks.
    delta_piece : int
        Tokens that delta rules take at once; 1 without any.
    size : StateSize
        Of the state of one row.
    autocast : callable
        Makes the context of each pass.

    """

    model: nn.Module
    cache_name: str
    takes_positions: bool = True
    picks_columns: bool = True
    scanning: tuple[nn.Module, ...] = ()
    in_pieces: tuple[nn.Module, ...] = ()
    lightning: tuple[nn.Module, ...] = ()
    delta_piece: int = 1
    size: StateSize = field(default_factory=StateSize)
    autocast: Autocast = nullcontext

    @classmethod
    def of(cls, model: nn.Module, autocast: Autocast = nullcontext) -> StateForward:
        """Return how ``model`` is called in this mixed precision, found by trying.

        Raises
        ------
        UnsupportedForwardError
            No name of the state works.

        """
        parameters = inspect.signature(base_model(model).forward).parameters
        scanning, in_pieces = scanning_layers(model), layers_in_pieces(model)
        reason = ""
        own = own_cache(model)
        for name in (own.argument,) if isinstance(own, ListedState) else CACHE_NAMES:
            forward = cls(
                model,
                name,
                takes_positions="position_ids" in parameters,
                picks_columns="logits_to_keep" in parameters,
                scanning=scanning,
                in_pieces=in_pieces,
                lightning=lightning_layers(model),
                delta_piece=delta_piece(model),
                autocast=autocast,
            )
            state = forward.empty()
            try:
                with warnings.catch_warnings(), torch.no_grad():
                    warnings.simplefilter("ignore")  # of names that go out of use
                    forward(np.array([[1, 2, 1]]), np.arange(3)[None], np.array([2]), state)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:  # a stranger's code may raise anything
                reason = first_line(error)
                continue
            if _is_filled(state):
                return replace(forward, size=StateSize.of(state, 3))
            reason = "the state that it is given stays empty"
        raise UnsupportedForwardError(f"its code does not take the engine's inputs ({reason})")

    @property
    def block(self) -> int:
        """A state is taken behind a multiple of as many tokens of its text.

        Layers that take several tokens at once round the same in each text that is cut between
        two such blocks, which shows in half precision.
        """
        if computing_dtype(self.model, self.autocast) not in HALF:
            return 1
        sizes = (layer.block_size for layer in cast(Sequence[Any], self.lightning))
        return math.lcm(self.delta_piece, *sizes)

    @property
    def shortest_pass(self) -> int:
        """Tokens of the shortest pass into which a long stretch is cut."""
        return math.lcm(SHORTEST_PASS, self.block)

    @cached_property
    def takes_tree_attention(self) -> bool:
        """Whether the engine's attention in place of the model's own gives the same logits."""
        tokens, columns = np.array([[1, 2, 1, 3]]), np.arange(2)
        positions = np.arange(4)[None]

        def logits(attend: Callable[[int], Any]) -> Tensor:
            state, parts = self.empty(), []
            for n_past in (0, 2):
                part = slice(n_past, n_past + 2)
                attend(n_past)
                parts.append(self(tokens[:, part], positions[:, part], columns, state))
            return torch.cat(parts, dim=1).float()

        with torch.no_grad():
            usual = logits(lambda n_past: None)
            try:
                with attention_over_tree(self.model) as slot:

                    def attend(n_past: int) -> None:
                        chunk = row_chunk(n_past, np.zeros(2, dtype=np.int64), goes_on=False)
                        slot.attention = RowsAttention([chunk], branches)

                    own = logits(attend)
            except torch.OutOfMemoryError:
                raise
            except Exception:
                return False
        return bool((own - usual).norm() <= 0.02 * usual.norm())

    def empty(self) -> State:
        """Return the state before any token."""
        own = own_cache(self.model)
        if own is not None:
            return own
        return DynamicCache(config=base_model(self.model).config.get_text_config(decoder=True))

    def __call__(
        self,
        tokens: IntArray,
        positions: IntArray,
        columns: IntArray,
        state: State,
        mask: Tensor | None = None,
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
        mask : tensor of shape (n_rows, n_held + n), optional
            1 for tokens held or given that a row has, 0 for the columns that it lacks.

        Returns
        -------
        tensor of shape (n_rows, m, vocabulary)

        """
        device = next(self.model.parameters()).device
        wanted = torch.from_numpy(columns).to(device)
        is_listed = isinstance(state, ListedState)
        given = state.before(tokens.shape[1]) if is_listed else state
        settings: dict[str, Any] = {self.cache_name: given}
        if self.takes_positions:
            settings["position_ids"] = torch.from_numpy(positions).to(device)
        if self.picks_columns:
            settings["logits_to_keep"] = wanted
        if mask is not None:
            settings["attention_mask"] = mask.to(device)
        inputs = torch.from_numpy(tokens).to(device)
        with (
            continued_scans(self.scanning),
            short_pieces(self.in_pieces),
            by_blocks(self.lightning),
            self.autocast(),
        ):
            output = self.model(input_ids=inputs, use_cache=True, **settings)
        logits: Tensor = output.logits
        if is_listed and state.tensors is None:
            state.tensors = output.state
        return logits if self.picks_columns else logits.index_select(1, wanted)


def _is_filled(state: State) -> bool:
    if isinstance(state, ListedState):
        return state.tensors is not None
    return any(map(_is_layer_filled, state.layers))


def _is_layer_filled(layer: Any) -> bool:
    keys = getattr(layer, "keys", None)
    states = getattr(layer, "conv_states", None)
    return (keys is not None and keys.numel() > 0) or any(
        state is not None for state in (states or {}).values()
    )

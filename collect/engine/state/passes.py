"""A pass over tokens goes on from a state, and long texts are cut into passes."""

from __future__ import annotations

import inspect
import logging
import math
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache

from ..attention.backends import branches
from ..attention.blocks import Slot, attention_over_tree
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
from .forking import State
from .lightning import by_blocks, lightning_layers
from .own_caches import ListedState, own_cache
from .scan import continued_scans, delta_piece, layers_in_pieces, scanning_layers, short_pieces
from .size import StateSize

__all__ = ["SHORTEST_PASS", "StateForward", "cuts"]

_log = logging.getLogger(__name__)

SHORTEST_PASS = 64
"""Long stretches are cut at multiples of what the scan of a recurrent layer takes at once."""

_ROUNDING = 0.02
"""By which share of their size logits may move where attention is rounded otherwise."""


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
        """Whether layers call the engine's attention, and it gives the logits of their own."""
        tried: list[RowsAttention] = []

        def put(slot: Slot, n_past: int) -> None:
            chunk = row_chunk(n_past, np.zeros(2, dtype=np.int64), goes_on=False)
            slot.attention = attention = RowsAttention([chunk], branches)
            tried.append(attention)

        with torch.no_grad():
            own = self._try_from_state(lambda n_past: None)
            try:
                with attention_over_tree(self.model) as slot:
                    ours = self._try_from_state(partial(put, slot))
            except torch.OutOfMemoryError:
                raise
            except Exception as error:  # a stranger's code may raise anything
                _log.debug("Texts keep the model's own attention: %s", first_line(error))
                return False
        is_called = any(attention.n_calls for attention in tried)
        return is_called and bool((ours - own).norm() <= _ROUNDING * own.norm())

    def _try_from_state(self, before: Callable[[int], None]) -> Tensor:
        """Return the logits of four tokens, two from the beginning and two from their state."""
        state, parts = self.empty(), []
        for n_past, tokens in ((0, [1, 2]), (2, [1, 3])):
            before(n_past)
            positions = np.arange(n_past, n_past + 2)
            parts.append(self(np.array([tokens]), positions[None], np.arange(2), state))
        return torch.cat(parts, dim=1).float()

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

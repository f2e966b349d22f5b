"""A model's forward pass is called by the argument names that work for it.

transformers called the cache ``past_key_values`` until 5.23 and calls it ``cache`` since; code that
comes with a checkpoint keeps the name of its day, and may take any other argument without using it.
So the signature does not count: a pass over three tokens shows which name fills the cache.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache

from .tree import IntArray

__all__ = [
    "CACHE_NAMES",
    "Autocast",
    "Forward",
    "UnsupportedForwardError",
    "base_model",
    "computing_dtype",
    "first_line",
    "forward_of",
]

CACHE_NAMES = ("cache", "past_key_values")
"""What transformers has called the cache, newest first."""

Autocast = Callable[[], AbstractContextManager[Any]]
"""Makes the context of a forward pass, as lm-eval's mixed precision does."""

_TOKENS = [1, 2, 1]
_N_TOKENS = len(_TOKENS)
_ROWS = [0, 2]


class UnsupportedForwardError(ValueError):
    """The model's forward pass does not take what the engine gives; a clause says why."""


@dataclass(frozen=True)
class Forward:
    """How a model's forward pass is called.

    Attributes
    ----------
    cache_name : str
        Argument that takes the cache.
    picks_rows : bool
        Whether ``logits_to_keep`` names the positions whose logits are computed; all are otherwise.

    """

    cache_name: str
    picks_rows: bool = True

    def __call__(
        self,
        model: nn.Module,
        tokens: IntArray,
        positions: IntArray,
        rows: IntArray,
        cache: DynamicCache,
    ) -> Tensor:
        """Read a chunk of tokens and return the logits of some of them.

        Parameters
        ----------
        model : Module
            The model that this was found for.
        tokens, positions : arrays of shape (n,)
            Token ids, and where in its text each of them stands.
        rows : array of shape (m,)
            Which of the tokens; may be empty.
        cache : DynamicCache
            Takes the keys and values of the chunk.

        Returns
        -------
        tensor of shape (m, vocabulary)

        """
        # given no position at all a model may return all of them, so it is given at least one
        needed = rows if len(rows) else np.zeros(1, dtype=np.int64)
        device = next(model.parameters()).device
        arrays = tokens, positions, needed
        given, places, wanted = (torch.from_numpy(array).to(device) for array in arrays)
        logits = self.logits(model, given, places, wanted, cache)
        if not self.picks_rows:
            logits = logits.index_select(0, wanted.to(logits.device))
        return logits[: len(rows)]

    def logits(
        self,
        model: nn.Module,
        tokens: Tensor,
        positions: Tensor,
        rows: Tensor,
        cache: DynamicCache,
    ) -> Tensor:
        """Return the logits as the model gives them: of ``rows``, or of all tokens.

        Parameters are those of a call, as tensors on the model's device; no value is read on the
        host.
        """
        settings: dict[str, Any] = {self.cache_name: cache}
        if self.picks_rows:
            settings["logits_to_keep"] = rows
        logits: Tensor = model(
            input_ids=tokens.unsqueeze(0),
            position_ids=positions.unsqueeze(0),
            use_cache=True,
            **settings,
        ).logits
        return logits[0]


_forwards: WeakKeyDictionary[nn.Module, Forward] = WeakKeyDictionary()


def base_model(model: nn.Module) -> Any:
    """Return the model inside a PEFT adapter, or ``model`` itself."""
    inner = getattr(model, "get_base_model", None)
    return inner() if callable(inner) else model


def computing_dtype(model: nn.Module, autocast: Autocast = nullcontext) -> torch.dtype:
    """Return the type that a model's matrices are multiplied in: its own, or mixed precision's."""
    parameter = next(model.parameters())
    device = parameter.device.type
    with autocast():
        mixed = torch.is_autocast_enabled(device)
        return torch.get_autocast_dtype(device) if mixed else parameter.dtype


def forward_of(model: nn.Module) -> Forward:
    """Return how the forward pass of ``model`` is called, found out once for each model.

    Raises
    ------
    UnsupportedForwardError
        No name of the cache works: the pass fails, or the cache stays empty.

    """
    if model not in _forwards:
        _forwards[model] = _find(model)
    return _forwards[model]


def _find(model: nn.Module) -> Forward:
    reasons: dict[str, str] = {}
    for name in CACHE_NAMES:
        for picks_rows in (True, False):
            try:
                n_rows, n_cached = _try(model, Forward(name, picks_rows))
            except Exception as error:  # a stranger's code may raise anything
                reasons[name] = first_line(error)
                continue
            if n_cached == _N_TOKENS:
                return Forward(name, picks_rows and n_rows == len(_ROWS))
            reasons[name] = "the cache that it is given stays empty"
            break
    if len(set(reasons.values())) > 1:
        reasons = {name: f"as {name}: {reason}" for name, reason in reasons.items()}
    clauses = "; ".join(dict.fromkeys(reasons.values()))
    raise UnsupportedForwardError(f"its code does not take the engine's inputs ({clauses})")


def _try(model: nn.Module, forward: Forward) -> tuple[int, int]:
    """Return how many rows of logits a small pass gives, and how many tokens its cache then has."""
    cache = DynamicCache()
    device = next(model.parameters()).device
    tokens, rows = (torch.tensor(numbers, device=device) for numbers in (_TOKENS, _ROWS))
    positions = torch.arange(_N_TOKENS, device=device)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of names that go out of use, while one is looked for
        logits = forward.logits(model, tokens, positions, rows, cache)
    lengths = [int(cache.get_seq_length(layer)) for layer in range(len(cache.layers))]
    return len(logits), max(lengths, default=0)


def first_line(error: Exception) -> str:
    """Return the first line of what an error says, or what it is where it says nothing."""
    return (str(error).strip() or repr(error)).splitlines()[0]

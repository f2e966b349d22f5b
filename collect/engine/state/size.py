"""The state of one row takes bytes that are fixed, and bytes that grow with its tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

__all__ = ["StateSize"]


@dataclass(frozen=True)
class StateSize:
    """What the state of one row takes.

    Attributes
    ----------
    fixed : int
        Bytes of recurrent and convolutional states.
    per_token : int
        Bytes of keys and values, for each token read.

    """

    fixed: int = 0
    per_token: int = 0

    @classmethod
    def of(cls, state: Any, n_tokens: int) -> StateSize:
        """Return the size of a state of one row that has read so many tokens."""
        # whatever grows is a tensor of a layer, whatever does not is kept in its dicts
        grown = sum(_bytes(vars(layer).values()) for layer in state.layers)
        fixed = [part for layer in state.layers for part in _of_dicts(layer)]
        own = getattr(state, "tensors", None) or getattr(state, "linear_cache", [])
        return cls(_bytes([*fixed, *own]), -(-grown // n_tokens))

    def after(self, n_tokens: int) -> int:
        """Return the bytes of a row after so many tokens, sliding windows taken for full ones."""
        return self.fixed + self.per_token * n_tokens


def _bytes(parts: Iterable[Any]) -> int:
    return sum(part.numel() * part.element_size() for part in parts if isinstance(part, Tensor))


def _of_dicts(layer: Any) -> Iterator[Any]:
    for held in vars(layer).values():
        if isinstance(held, dict):
            yield from held.values()

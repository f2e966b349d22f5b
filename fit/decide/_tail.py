"""Estimate from the tail of a sample how rarely a value as large occurs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Tail"]

Array = NDArray[np.float64]

_N_STEPS = 120


@dataclass(frozen=True)
class Tail:
    """Shares of n values that are at least as large as some others, rounded upward in q steps.

    Attributes
    ----------
    value : (q,) array
        Ascending.
    share : (q,) array
        (1 + number of values at least as large) / (1 + n), descending.

    """

    value: Array
    share: Array

    @classmethod
    def of(cls, values: Array) -> Self:
        """Return the tail of values (n,); NaN is none."""
        ordered = np.sort(values[~np.isnan(values)])[::-1]
        n = len(ordered)
        if not n:
            return cls(np.array([-np.inf]), np.array([1.0]))
        count = np.floor(np.unique(np.geomspace(1 / (n + 1), 1.0, _N_STEPS)) * (n + 1) + 1e-9)
        count = np.unique(count.astype(int))[::-1]  # with the new value itself
        reached = np.append(ordered, -np.inf)[count - 1]  # by as many values as count says
        return cls(np.nextafter(reached, np.inf), count / (n + 1))

    def share_beyond(self, value: ArrayLike) -> Array:
        """Return the share of values that are at least as large; 1 for NaN."""
        x = np.nan_to_num(np.asarray(value, dtype=float), nan=-np.inf)
        place = np.searchsorted(self.value, x, side="right") - 1
        return np.where(place >= 0, self.share[np.maximum(place, 0)], 1.0)

    def threshold(self, share: float) -> float:
        """Return the least value that no more than this share reaches, or inf."""
        rare = self.share <= share
        return float(self.value[rare][0]) if rare.any() else float("inf")

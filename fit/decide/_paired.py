"""Two measurements of one model are compared item by item, or by their standard errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import TooFewItemsError

__all__ = ["Drift", "holm", "paired_drift", "unpaired_drift"]

_N_FLIPS = 9999
_SEED = 0
_Z_90 = NormalDist().inv_cdf(0.95)


@dataclass(frozen=True)
class Drift:
    """How far two measurements of one score are apart.

    Attributes
    ----------
    own, other : float
        The scores; of the paired items where there are such.
    difference, lower, upper : float
        Other minus own, and its 90% interval.
    p_value : float
        Of no difference.
    test : str
        "McNemar", "sign flips" or "two scores".
    n_items : int or None
        Paired items.

    See Also
    --------
    ScoreAlarm : A score that the model's other scores contradict.

    Examples
    --------
    >>> from capspace.fit import Drift
    >>> Drift(0.61, 0.55, -0.06, -0.09, -0.03, 0.001, "McNemar", 200).difference
    -0.06

    """

    own: float
    other: float
    difference: float
    lower: float
    upper: float
    p_value: float
    test: str
    n_items: int | None = None


def paired_drift(own: ArrayLike, other: ArrayLike) -> Drift:
    """Compare the values of the same n items under two paths.

    Raises
    ------
    TooFewItemsError
        No item is paired.

    Notes
    -----
    Values of 0 and 1: McNemar's exact test, the binomial test of the items that differ. Others: the
    mean under 9,999 random sign flips of the differences.

    References
    ----------
    McNemar (1947), Note on the sampling error of the difference between correlated proportions.

    """
    a, b = np.asarray(own, dtype=float), np.asarray(other, dtype=float)
    n = len(a)
    if not n:
        raise TooFewItemsError("no item was answered under both paths, so nothing can be paired")
    gap = b - a
    is_binary = bool(np.isin(a, (0.0, 1.0)).all() and np.isin(b, (0.0, 1.0)).all())
    p_value = _mcnemar(gap) if is_binary else _sign_flips(gap)
    mean = float(gap.mean())
    half = _Z_90 * float(gap.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    test = "McNemar" if is_binary else "sign flips"
    return Drift(float(a.mean()), float(b.mean()), mean, mean - half, mean + half, p_value, test, n)


def unpaired_drift(own: float, own_stderr: float, other: float, other_stderr: float) -> Drift:
    """Compare two scores by their standard errors.

    The items are mostly the same, so that errors go together and the test is on the safe side.

    Raises
    ------
    TooFewItemsError
        A standard error is not known.

    """
    square = own_stderr**2 + other_stderr**2
    if not (math.isfinite(square) and square > 0):
        raise TooFewItemsError(
            "a standard error is not known, nor the number of items it would follow from"
        )
    gap, spread = other - own, math.sqrt(square)
    p_value = 2 * NormalDist().cdf(-abs(gap) / spread)
    half = _Z_90 * spread
    return Drift(own, other, gap, gap - half, gap + half, p_value, "two scores")


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values that hold for several tests together, by Holm's steps."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, largest = [1.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def _mcnemar(gap: NDArray[np.float64]) -> float:
    up, down = int((gap > 0).sum()), int((gap < 0).sum())
    n, k = up + down, min(up, down)
    tail = sum(math.comb(n, i) for i in range(k + 1)) / 2**n
    return float(min(1.0, 2 * tail))


def _sign_flips(gap: NDArray[np.float64]) -> float:
    moved = gap[gap != 0]
    if not len(moved):
        return 1.0
    rng = np.random.default_rng(_SEED)
    observed = abs(moved.sum())
    sums = np.array([abs(rng.choice((-1.0, 1.0), len(moved)) @ moved) for _ in range(_N_FLIPS)])
    return float((1 + (sums >= observed * (1 - 1e-12)).sum()) / (1 + _N_FLIPS))

"""Items are allocated to benchmarks so that predictions are sure enough at the lowest cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ._item_pool import ItemPool
from ._noise_variance import NoiseVariance

__all__ = ["allocate_items", "further_cost", "variance_of_scores"]

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

_N_ROUNDS = 100
_MOST_IDLE = 8
_NEGLIGIBLE = 1e-3
_STEPS = 18
_LARGEST_LOG = 40.0


def variance_of_scores(pools: Sequence[ItemPool], variance: Array, n_items: Counts) -> Array:
    """Return the variances (p,) of scores by so many items, of which each has ``variance``."""
    factors = [pool.variance_factor(int(n)) for pool, n in zip(pools, n_items, strict=True)]
    return np.asarray(variance * np.array(factors))


def further_cost(n_items: Counts, start: Counts, cost: Array, once: Array) -> float:
    """Return what it costs to go on from the items measured; all (p,), as of `allocate_items`."""
    return float((n_items - start) @ cost + (n_items > start) @ once)


def allocate_items(
    noise: NoiseVariance,
    allowed: Array,
    *,
    variance: Array,
    cost: Array,
    pools: Sequence[ItemPool],
    start: Counts,
    once: Array | None = None,
) -> Counts:
    r"""Return the number of items (p,) of each benchmark that costs least and is sure enough.

    Parameters
    ----------
    noise : NoiseVariance
        What noise in p scores adds to the variances of T targets' predictions.
    allowed : (T,) array
        What may be added to each beyond what measuring all items adds, in the same unit.
    variance : (p,) array
        Of a single item of each benchmark.
    cost : (p,) array
        Of a single item, above 0 where not all are measured.
    pools : sequence of p ItemPool
        The items there are.
    start : (p,) array
        Items that are measured already, which cost nothing.
    once : (p,) array, optional
        What a benchmark costs beside its items if more of them are measured; zeros by default.

    Notes
    -----
    Minimises Σ c_b n_b where for each target t

    .. math:: V_t(v F(n)) - V_t(v F(N)) \le a_t

    with V the noise's part of its variance and F(n) about 1/n. At the minimum
    n_b² = Σ_t λ_t e_tb v_b / c_b, as of Neyman's allocation, with e_tb the slope of V_t there,
    which is taken at the items of the round before. The multipliers λ of targets that bind are
    found by raising those of targets that are not sure enough. A benchmark that is already measured
    far enough keeps the items it has. So does one that costs something ``once``, if the others then
    cost less in all. These are tried one after the other, first those whose further items cost
    least beside that, and are not tried again, so that this is cheap but need not be the cheapest.

    References
    ----------
    Cochran (1977), Sampling Techniques, sections 5.5 and 5A.

    Examples
    --------
    >>> pools = [ItemPool((100_000,)), ItemPool((100_000,))]
    >>> alone = NoiseVariance(np.array([[1.0, 2.0]]), np.zeros((1, 2, 2)))
    >>> allocate_items(
    ...     alone, np.array([0.01]), variance=np.array([0.2, 0.2]), cost=np.array([1.0, 1.0]),
    ...     pools=pools, start=np.array([10, 10]),
    ... ).tolist()
    [60, 120]

    """
    whole = np.array([pool.n_items for pool in pools])
    rest = noise.added(variance_of_scores(pools, variance, whole))

    def used(n: Counts) -> Array:
        """Return which part of what is allowed the noise takes, by target."""
        return np.asarray((noise.added(variance_of_scores(pools, variance, n)) - rest) / allowed)

    def slopes(n: Counts) -> Array:
        return noise.slopes(variance_of_scores(pools, variance, n)) / allowed[:, None]

    if (used(start) <= 1).all():
        return np.asarray(start)
    per_cost = variance / np.where(start == whole, 1.0, cost)
    best = _cheapest(used, slopes, per_cost, cost, start, whole)
    once = np.zeros(len(cost)) if once is None else once
    total = partial(further_cost, start=start, cost=cost, once=once)
    growing = np.flatnonzero((best > start) & (once > 0))
    for i in sorted(growing, key=((best - start) * cost / np.where(once > 0, once, 1)).__getitem__):
        most = np.where((best == start) & (once > 0), start, whole)
        most[i] = start[i]
        if (used(most) <= 1).all():
            others = _cheapest(used, slopes, per_cost, cost, start, most)
            best = others if total(others) < total(best) else best
    return best


def _cheapest(
    used: Callable[[Counts], Array],
    slopes: Callable[[Counts], Array],
    per_cost: Array,
    cost: Array,
    start: Counts,
    most: Counts,
) -> Counts:
    """Return the items from ``start`` to ``most`` that cost least; by ``most``, all are enough."""

    def items(weight: Array) -> Counts:
        wanted = np.ceil(np.sqrt(weight * per_cost))
        return np.asarray(np.clip(wanted, start, most), dtype=np.int64)

    best = n = most
    multipliers = np.ones(len(used(most)))
    n_idle = 0
    for _ in range(_N_ROUNDS):
        weight = multipliers @ slopes(n)
        n = items(weight * _scale(weight, items, used))
        n_idle = 0 if n @ cost < (1 - _NEGLIGIBLE) * (best @ cost) else n_idle + 1
        if n @ cost < best @ cost:
            best = n
        if n_idle > _MOST_IDLE:
            break
        multipliers = multipliers * np.clip(used(n), 0.1, None)
        multipliers /= multipliers.max()
    return best


def _scale(
    weight: Array, items: Callable[[Array], Counts], used: Callable[[Counts], Array]
) -> float:
    """Return the least factor of the weights at which all targets are sure enough."""

    def is_enough(log_factor: float) -> bool:
        return bool((used(items(weight * np.exp(log_factor))) <= 1).all())

    low, high = -_LARGEST_LOG, _LARGEST_LOG
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return float(np.exp(high))

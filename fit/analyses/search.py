"""Search for the subset of units with the smallest criterion, exhaustively or by exchange."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from .criterion import Criterion, evaluate_criterion

__all__ = ["Best", "Pool", "exchange", "exhaustive", "n_subsets_bound"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_BLOCK = 1 << 15  # subsets per array operation: two dozen such arrays stay in cache
_N_STARTS = 150
_SLACK = 1e-9


@dataclass(frozen=True)
class Pool:
    """Units to choose from, on top of those that must be in.

    Attributes
    ----------
    entries : (m, u) array
        Information of each free unit, as lower triangles.
    costs : (u,) array
        Cost of each free unit.
    base_entries, base_cost : (m,) array, float
        Information and cost of the units that must be in.
    max_free : int
        Largest number of free units.

    """

    entries: Floats
    costs: Floats
    base_entries: Floats
    base_cost: float
    max_free: int


@dataclass(frozen=True)
class Best:
    """The best subset found: its free units, its criterion, and how many subsets were looked at."""

    members: tuple[int, ...]
    value: float
    n: int


def n_subsets_bound(pool: Pool, budget: float) -> int:
    """Return an upper bound on the number of subsets within ``budget``."""
    fits = np.cumsum(np.sort(pool.costs)) + pool.base_cost <= budget * (1 + _SLACK)
    most = min(int(fits.sum()), pool.max_free)
    return sum(comb(len(pool.costs), j) for j in range(most + 1))


def exhaustive(pool: Pool, budgets: Sequence[float], criterion: Criterion) -> list[Best]:
    """Evaluate every subset within the largest budget; return the best for each budget.

    Subsets grow depth first in blocks: the children of a subset add one unit of higher number, and
    those over the largest budget are cut off with all that would grow from them.
    """
    limits = np.asarray(budgets, dtype=float) * (1 + _SLACK)
    best = [(np.inf, np.empty(0, dtype=np.int16))] * len(limits)
    n_units, n_seen = len(pool.costs), 0
    stack = [
        (
            np.empty((1, 0), dtype=np.int16),
            pool.base_entries[:, None].copy(),
            np.array([pool.base_cost]),
        )
    ]
    while stack:
        members, entries, costs = stack.pop()
        if members.shape[1] or pool.base_cost:
            values = evaluate_criterion(entries, criterion)
            n_seen += len(values)
            for b, limit in enumerate(limits):
                allowed = np.where(costs <= limit, values, np.inf)
                at = int(allowed.argmin())
                if allowed[at] < best[b][0]:
                    best[b] = (float(allowed[at]), members[at])
        if members.shape[1] == pool.max_free:
            continue
        first = members[:, -1].astype(np.intp) + 1 if members.shape[1] else np.zeros(1, np.intp)
        for parents, added in _children(first, n_units):
            cost = costs[parents] + pool.costs[added]
            fits = cost <= limits.max()
            parents, added = parents[fits], added[fits]
            if len(parents):
                grown = np.column_stack([members[parents], added.astype(np.int16)])
                stack.append((grown, entries[:, parents] + pool.entries[:, added], cost[fits]))
    return [Best(tuple(int(i) for i in members), value, n_seen) for value, members in best]


def exchange(pool: Pool, budget: float, criterion: Criterion, rng: np.random.Generator) -> Best:
    """Improve subsets by additions and swaps from greedy and perturbed starts; return the best.

    Every pass evaluates all single additions, or where none fits all swaps, at once and takes the
    best. A restart drops a quarter, half or all of the best subset at random and adds one unit.

    References
    ----------
    Fedorov 1972, "Theory of Optimal Experiments"; Cook & Nachtsheim 1980, Technometrics 22.

    """
    limit = budget * (1 + _SLACK)
    chosen = np.zeros(len(pool.costs), dtype=bool)
    best, best_value, n_seen = chosen, np.inf, 0
    for start in range(_N_STARTS):
        chosen = best.copy()
        if start:
            chosen &= rng.random(len(chosen)) > rng.choice([0.25, 0.5, 1.0])
            outside = np.flatnonzero(~chosen)
            seed = rng.choice(outside) if len(outside) else None
            if seed is not None and _cost(pool, chosen) + pool.costs[seed] <= limit:
                chosen[seed] = chosen.sum() < pool.max_free
        value, n = _climb(pool, chosen, limit, criterion)
        n_seen += n
        if value < best_value:
            best, best_value = chosen, value
    return Best(tuple(int(i) for i in np.flatnonzero(best)), best_value, n_seen)


def _climb(
    pool: Pool, chosen: NDArray[np.bool_], limit: float, criterion: Criterion
) -> tuple[float, int]:
    """Improve ``chosen`` in place until no single addition or swap helps."""
    value, n_seen = np.inf, 0
    while True:
        dropped, added = _moves(pool, chosen, limit)
        if not len(added):
            return value, n_seen
        now = pool.base_entries + pool.entries[:, chosen].sum(axis=1)
        after = now[:, None] + pool.entries[:, added]
        swap = dropped >= 0
        after[:, swap] -= pool.entries[:, dropped[swap]]
        values = evaluate_criterion(after, criterion)
        n_seen += len(values)
        if not np.isfinite(values).any():
            # Too few units to estimate anything yet: grow along the regularised criterion.
            if swap.all():
                return value, n_seen
            at = int(evaluate_criterion(after + _ridge(pool), criterion).argmin())
        else:
            at = int(values.argmin())
            if values[at] >= value * (1 - 1e-12) if value > 0 else values[at] >= value - 1e-12:
                return value, n_seen
            value = float(values[at])
        if swap[at]:
            chosen[dropped[at]] = False
        chosen[added[at]] = True


def _moves(pool: Pool, chosen: NDArray[np.bool_], limit: float) -> tuple[Ints, Ints]:
    """Return (dropped, added) of every addition that fits (dropped = -1), else of every swap."""
    inside, outside = np.flatnonzero(chosen), np.flatnonzero(~chosen)
    room = limit - _cost(pool, chosen)
    if len(inside) < pool.max_free:
        fitting = outside[pool.costs[outside] <= room]
        if len(fitting):
            return np.full(len(fitting), -1), fitting
    dropped, added = (m.ravel() for m in np.meshgrid(inside, outside, indexing="ij"))
    fits = pool.costs[added] - pool.costs[dropped] <= room
    return dropped[fits], added[fits]


def _children(first: Ints, n_units: int) -> list[tuple[Ints, Ints]]:
    """Return blocks of (parent, added unit) over all units from ``first[parent]`` on."""
    counts = n_units - first
    ends = np.cumsum(counts)
    blocks, start = [], 0
    while start < len(first):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _BLOCK, side="right")))
        parents = np.repeat(np.arange(start, stop), counts[start:stop])
        offset = np.arange(len(parents)) - np.repeat(
            ends[start:stop] - counts[start:stop] - done, counts[start:stop]
        )
        blocks.append((parents, first[parents] + offset))
        start = stop
    return blocks


def _ridge(pool: Pool) -> Floats:
    k = int((np.sqrt(8 * len(pool.entries) + 1) - 1) / 2)
    diagonal = [i * (i + 3) // 2 for i in range(k)]
    out = np.zeros((len(pool.entries), 1))
    out[diagonal, 0] = 1e-3 * pool.entries[diagonal].sum() / k
    return out


def _cost(pool: Pool, chosen: NDArray[np.bool_]) -> float:
    return pool.base_cost + float(pool.costs[chosen].sum())

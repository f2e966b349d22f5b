"""Measuring stops when more items would hardly narrow the predictions' intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._json import json_safe
from ..errors import UnknownCostError
from ._allocation import allocate_items, further_cost, variance_of_scores
from ._item_pool import ItemPool
from ._noise_effect import NoiseEffect
from ._tolerance import Tolerance

__all__ = ["FIRST_ITEMS", "MeasuredItems", "StoppingPlan", "first_round", "plan_items"]

Array = NDArray[np.float64]

FIRST_ITEMS = 20
"""Items of each benchmark in the first round, or `FIRST_OF_TASK` for each of its tasks."""

FIRST_OF_TASK = 2
"""At least two, as what both begin with is taken for what all items of the task begin with."""

_LADDER = (1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.005, 0.002, 0.001)
_STEPS = 12
_ROUNDING = 1e-9


def first_round(n_tasks: int, least: int = FIRST_ITEMS) -> int:
    """Return the most items that the first round measures of a benchmark with so many tasks."""
    return max(least, FIRST_OF_TASK * n_tasks)


@dataclass(frozen=True)
class MeasuredItems:
    """What is known of a benchmark of which some items are measured.

    Attributes
    ----------
    benchmark : str
    pool : ItemPool
        All of its items.
    n_items : int
        How many are measured.
    variance : float
        Of the score of a single item.
    tokens : float
        Of a single item: prompt, options and response; not used where all items are measured.
    seconds : float
        What measuring a single item takes; NaN where unknown.
    shared_tokens : float
        Read once for all items, and not among ``tokens``: few-shot examples, where they are the
        same for every item and what measures reads them once.
    shared_seconds : float
        What these take.
    may_grow : bool
        Whether others can be measured: a benchmark may fix its items, or need leave to run code.

    """

    benchmark: str
    pool: ItemPool
    n_items: int
    variance: float
    tokens: float
    seconds: float = float("nan")
    shared_tokens: float = 0.0
    shared_seconds: float = 0.0
    may_grow: bool = True

    def tokens_of(self, n_items: int) -> float:
        """Return the tokens of so many items."""
        return self.shared_tokens + self.tokens * n_items

    @property
    def measurable(self) -> ItemPool:
        """The items that are measured or can be."""
        return self.pool if self.may_grow else self.pool.first(self.n_items)


@dataclass(frozen=True)
class StoppingPlan:
    """How many items of each benchmark are enough, and what the others would narrow.

    Attributes
    ----------
    tolerance : Tolerance
    measured : tuple of p MeasuredItems
    targets : tuple of T str
    n_items : mapping of benchmark to int
        How many are enough; those that are measured where no more are needed.
    within_budget : bool
        Whether the budget suffices for them; where it does not, they are fewer than are enough.
    width_now, width_then, width_full : (T,) arrays
        Widths of the targets' intervals by the items measured, by those planned, and by all that
        can be measured.
    curve : tuple of (float, float)
        Share of all tokens, and by how much the widest interval is wider than by all items, for
        the best allocations from the coarsest to the finest.

    """

    tolerance: Tolerance
    measured: tuple[MeasuredItems, ...]
    targets: tuple[str, ...]
    n_items: Mapping[str, int]
    within_budget: bool
    width_now: Array
    width_then: Array
    width_full: Array
    curve: tuple[tuple[float, float], ...]

    @property
    def is_done(self) -> bool:
        """Whether no further item is to be measured."""
        return all(self.n_items[m.benchmark] == m.n_items for m in self.measured)

    @property
    def is_whole(self) -> bool:
        """Whether every item of every benchmark is measured."""
        return all(m.n_items >= m.pool.n_items for m in self.measured)

    @property
    def widening(self) -> float:
        """By how much the widest of the intervals is wider now than by all items, as a share."""
        return float(np.max(self.width_now / self.width_full) - 1)

    @property
    def token_share(self) -> float:
        """Tokens of the items measured, as a share of those of all items.

        What items share counts once in both, in however many rounds it was read.
        """
        return _token_share(self.measured, [m.n_items for m in self.measured])

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe mapping; what is unknown is null."""
        safe: dict[str, Any] = json_safe(
            {
                "until": str(self.tolerance),
                "within_budget": self.within_budget,
                "token_share": self.token_share,
                "widening": self.widening,
                "benchmarks": [
                    {
                        "benchmark": m.benchmark,
                        "n_items": m.n_items,
                        "of": m.pool.n_items,
                        "tokens_per_item": m.tokens,
                        "shared_tokens": m.shared_tokens,
                    }
                    for m in self.measured
                ],
                "targets": [
                    {"target": target, "width": width, "width_by_all_items": full}
                    for target, width, full in zip(
                        self.targets, self.width_now, self.width_full, strict=True
                    )
                ],
                "curve": [{"token_share": x, "widening": y} for x, y in self.curve],
            }
        )
        return safe


def plan_items(
    effect: NoiseEffect,
    measured: Sequence[MeasuredItems],
    tolerance: Tolerance,
    *,
    seconds: float | None = None,
) -> StoppingPlan:
    """Return how many items of each benchmark are enough for all targets, at the lowest cost.

    Parameters
    ----------
    effect : NoiseEffect
        What noise in the scores does to the targets' intervals.
    measured : sequence of MeasuredItems
        The benchmarks; those that ``effect`` lacks need no more items.
    tolerance : Tolerance
        By how much all remaining items together may still narrow an interval.
    seconds : float, optional
        What may still be spent; then items are allocated by their time, else by their tokens. What
        items share is spent anew for each benchmark of which more are measured.

    Raises
    ------
    UnknownCostError
        The tokens of an item are unknown, or its seconds where a budget is given.

    """
    pools = [m.measurable for m in measured]
    start = np.array([m.n_items for m in measured])
    variance = np.array([m.variance for m in measured])
    tokens = np.array([m.tokens for m in measured])
    cost = tokens if seconds is None else np.array([m.seconds for m in measured])
    is_whole = np.array([m.n_items == m.measurable.n_items for m in measured])
    cost = np.where(is_whole, 0.0, cost)
    if not (cost > 0)[~is_whole].all():
        unknown = measured[int((~is_whole & ~(cost > 0)).argmax())].benchmark
        what = "tokens" if seconds is None else "time"
        raise UnknownCostError(f"the {what} of an item of {unknown} is unknown")
    noise = effect.noise_of([m.benchmark for m in measured])

    def squared(n: NDArray[np.int64]) -> Array:
        return 1 + noise.added(variance_of_scores(pools, variance, n))

    def widths(n: NDArray[np.int64]) -> Array:
        return np.asarray(effect.width * np.sqrt(squared(n)))

    whole = np.array([p.n_items for p in pools])
    full, width_full = squared(whole), widths(whole)

    def enough(
        wider: Array, at_least: NDArray[np.int64], price: Array, once: Array | None = None
    ) -> NDArray[np.int64]:
        allowed = ((1 + wider) ** 2 - 1) * full
        return allocate_items(
            noise, allowed, variance=variance, cost=price, pools=pools, start=at_least, once=once
        )

    wider = np.array([tolerance.of_width(width) for width in width_full])
    once = np.array([m.shared_tokens if seconds is None else m.shared_seconds for m in measured])

    planned = enough(wider, start, cost, once)
    within = seconds is None or further_cost(planned, start, cost, once) <= seconds
    if not within and seconds is not None:
        # natural logarithms of a factor of the tolerance; by the last, what is measured is enough
        needed = (widths(start) / width_full - 1) / wider
        low, high = 0.0, float(np.log(needed.max())) + _ROUNDING
        for _ in range(_STEPS):
            middle = (low + high) / 2
            tried = enough(wider * np.exp(middle), start, cost, once)
            affordable = further_cost(tried, start, cost, once) <= seconds
            low, high = (low, middle) if affordable else (middle, high)
        planned = enough(wider * np.exp(high), start, cost, once)
    fewest = np.where(is_whole, start, np.array([p.n_tasks for p in pools]))
    ladder = [enough(np.full(len(full), step), fewest, tokens) for step in _LADDER]
    return StoppingPlan(
        tolerance=tolerance,
        measured=tuple(measured),
        targets=effect.targets,
        n_items={m.benchmark: int(n) for m, n in zip(measured, planned, strict=True)},
        within_budget=within,
        width_now=widths(start),
        width_then=widths(planned),
        width_full=width_full,
        curve=tuple(
            (_token_share(measured, n.tolist()), float(np.max(widths(n) / width_full) - 1))
            for n in ladder
        ),
    )


def _token_share(measured: Sequence[MeasuredItems], n_items: Sequence[int]) -> float:
    """Return the tokens of some items as a share of those of all."""
    whole = sum(m.tokens_of(m.pool.n_items) for m in measured)
    some = sum(m.tokens_of(n) for m, n in zip(measured, n_items, strict=True))
    return some / whole if whole else 1.0

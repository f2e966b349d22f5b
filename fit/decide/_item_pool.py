"""Items are spread over a benchmark's tasks, so that the mean of a few items is precise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..errors import FitError, TooFewItemsError

__all__ = ["ItemPool", "item_variance"]


@dataclass(frozen=True)
class ItemPool:
    """The items that a benchmark has in each of its tasks, such as the subjects of MMLU.

    Attributes
    ----------
    sizes : tuple of int
        Items of each task, at least one.
    weighted : bool
        Whether the score is the mean over all items; by default each task counts once.

    Notes
    -----
    Every task has its first item before any has its second. Then each has as many as any other
    until it is exhausted, as equal numbers make the mean of tasks most precise; of a weighted
    score, each has its share (Sainte-Laguë). So the first n items are among the first n + 1.

    Examples
    --------
    >>> ItemPool((10, 100)).counts(50).tolist()
    [10, 40]
    >>> ItemPool((10, 100), weighted=True).counts(22).tolist()
    [2, 20]

    """

    sizes: tuple[int, ...]
    weighted: bool = False

    def __post_init__(self) -> None:
        if not self.sizes or min(self.sizes) < 1:
            raise FitError(f"a benchmark's tasks have {self.sizes} items; each needs at least one")

    @property
    def n_items(self) -> int:
        """Items in all."""
        return sum(self.sizes)

    @property
    def n_tasks(self) -> int:
        """Tasks, and so the fewest items that give a score."""
        return len(self.sizes)

    @cached_property
    def tasks_in_order(self) -> NDArray[np.int64]:
        """The task (n_items,) of each item, in the order in which they are measured."""
        task = np.repeat(np.arange(len(self.sizes)), self.sizes)
        number = np.concatenate([np.arange(size) for size in self.sizes])
        turn = (2 * number + 1) / np.array(self.sizes)[task] if self.weighted else number
        # numpy's last key decides first
        return np.asarray(task[np.lexsort((task, turn, number > 0))])

    def counts(self, n: int) -> NDArray[np.int64]:
        """Return how many items of each task are among the first n."""
        return np.bincount(self.tasks_in_order[:n], minlength=len(self.sizes))

    def first(self, n: int) -> ItemPool:
        """Return the pool of the first n items, at least one of each task."""
        return ItemPool(tuple(self.counts(n).tolist()), weighted=self.weighted)

    def turns(self, n: int) -> Iterator[tuple[int, int]]:
        """Yield task and number within the task of the first n items."""
        used = [0] * len(self.sizes)
        for task in self.tasks_in_order[:n].tolist():
            yield task, used[task]
            used[task] += 1

    def variance_factor(self, n: int) -> float:
        """Return the variance of the score by the first n items, in variances of an item.

        It is about 1/n: Σ w²/n over the tasks, whose weights w add up to 1.
        """
        if not self.n_tasks <= n <= self.n_items:
            raise FitError(
                f"{n} items of {self.n_items} for {self.n_tasks} tasks; each needs at least one"
            )
        return float(self._variance_factors[n - 1])

    @cached_property
    def _variance_factors(self) -> NDArray[np.float64]:
        order, sizes = self.tasks_in_order, np.array(self.sizes)
        weights = sizes / sizes.sum() if self.weighted else np.full(len(sizes), 1 / len(sizes))
        number = np.empty(len(order))
        for task, size in enumerate(self.sizes):
            number[order == task] = np.arange(size)
        with np.errstate(divide="ignore"):
            change = 1 / (number + 1) - np.where(number > 0, 1 / number, 0.0)
        return np.asarray(np.cumsum(weights[order] ** 2 * change))


def item_variance(values: NDArray[np.float64]) -> float:
    """Return the variance of a single item's score, by the values (n,) of those measured.

    Notes
    -----
    Laplace's rule: an item of 0 and one of 1 are added, so that a score of 0 or 1 by few items does
    not count as sure.

    Raises
    ------
    TooFewItemsError
        There are fewer than two values.

    """
    if len(values) < 2:
        raise TooFewItemsError(f"{len(values)} measured item says nothing of how much items differ")
    return float(np.var(np.concatenate([values, [0.0, 1.0]])))

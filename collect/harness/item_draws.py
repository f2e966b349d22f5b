"""Items of a benchmark are drawn in a random order, the same on every machine and in every run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np

from capspace.fit.decide._item_pool import ItemPool, item_variance
from capspace.tasks.panel import Benchmark

from ..errors import HarnessError

__all__ = ["drawn_items", "drawn_stderr", "item_values", "random_order"]


def random_order(task: str, size: int, seed: int) -> list[int]:
    """Return the positions of a task's items in the random order of a seed.

    Items are ordered by a hash and not by a library's generator, whose numbers may be others in a
    later version.
    """
    return sorted(range(size), key=lambda i: sha256(f"{seed}/{task}/{i}".encode()).digest())


def drawn_items(
    tasks: Sequence[Any], benchmark: Benchmark, n_items: int, seed: int
) -> dict[str, list[int]]:
    """Return the first items of each task in its random order, so many in all, ascending.

    lm-eval takes them in the order of the data, and numbers its records by this list.

    Parameters
    ----------
    tasks : sequence
        lm-eval's leaf tasks.
    benchmark : Benchmark
        Theirs; whether it weighs tasks by their size decides how many items each has.
    n_items : int
        How many; at least one of each task, and at most all.
    seed : int
        Of the order.

    """
    pool = pool_of(benchmark, [len(task.eval_docs) for task in tasks])
    counts = pool.counts(min(max(n_items, pool.n_tasks), pool.n_items)).tolist()
    return {
        task.config.task: sorted(random_order(task.config.task, size, seed)[:count])
        for task, size, count in zip(tasks, pool.sizes, counts, strict=True)
    }


def pool_of(benchmark: Benchmark, sizes: Sequence[int]) -> ItemPool:
    """Return the items of a benchmark whose leaf tasks have these sizes."""
    return ItemPool(tuple(sizes), weighted=benchmark.aggregate == "weighted")


def drawn_stderr(
    benchmark: Benchmark, parts: Sequence[Mapping[str, Any]], samples: Sequence[Mapping[str, Any]]
) -> float:
    """Return the standard error of a score by drawn items, of which a task may have very few.

    lm-eval's own takes the spread within each task, which is 0 of two right answers, and nothing of
    one. Here all items of a benchmark have one variance.

    Raises
    ------
    HarnessError
        The benchmark's metric has no value for a single item.

    """
    values = [value for _, value in item_values(benchmark, samples)]
    pool = pool_of(benchmark, [int(part["of"]) for part in parts])
    factor = pool.variance_factor(sum(int(part["n_items"]) for part in parts))
    return float(np.sqrt(item_variance(np.array(values)) * factor))


def item_values(
    benchmark: Benchmark, samples: Sequence[Mapping[str, Any]]
) -> list[tuple[Mapping[str, Any], float]]:
    """Return lm-eval's record of each item, by the benchmark's filter, with what it scored.

    Raises
    ------
    HarnessError
        The benchmark's metric has no value for a single item.

    """
    names = benchmark.metric.split("+")
    try:
        return [
            (sample, float(np.mean([np.mean(np.asarray(sample[name], float)) for name in names])))
            for sample in samples
            if sample["filter"] == benchmark.filter
        ]
    except (KeyError, TypeError, ValueError):
        raise HarnessError(
            f"{benchmark.name}: its metric {benchmark.metric} has no value for a single item, so "
            "that some of them say nothing of all; measure it whole"
        ) from None

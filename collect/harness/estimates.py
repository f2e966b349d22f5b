"""The full score of a benchmark is estimated from the items that a panel selects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from capspace.tasks.item_estimate import ItemEstimate
from capspace.tasks.panel import Benchmark

from ..errors import HarnessError
from .item_draws import item_values

__all__ = ["estimated_score", "estimating_items"]


def estimating_items(tasks: Sequence[Any], estimate: ItemEstimate) -> dict[str, list[int]]:
    """Return the positions of a benchmark's items, by task, that its estimate is made from.

    Raises
    ------
    HarnessError
        The tasks are not those of the estimate, or have another number of items.

    """
    sizes = {str(task.config.task): len(task.eval_docs) for task in tasks}
    for task, items in estimate.tasks.items():
        n = sizes.get(task)
        if n is None:
            raise HarnessError(
                f"its estimate has items of {task}, which is none of its tasks; shrink the "
                "panel again"
            )
        if n != items.of:
            raise HarnessError(
                f"its estimate was made for the {items.of:,} items of {task}, of which "
                f"there are {n:,} here; shrink the panel again with responses to these"
            )
    return {task: list(items.positions) for task, items in estimate.tasks.items()}


def estimated_score(
    benchmark: Benchmark, estimate: ItemEstimate, samples: Sequence[Mapping[str, Any]]
) -> tuple[float, float]:
    """Return the estimated full score and its standard error, the estimate's own error included.

    Raises
    ------
    HarnessError
        The benchmark's metric has no value for a single item; or an item is another document than
        that which the estimate was made for.

    """
    values: dict[str, dict[int, float]] = {}
    for sample, value in item_values(benchmark, samples):
        task, position = str(sample["task"]), int(sample["doc_id"])
        values.setdefault(task, {})[position] = value
        items = estimate.tasks[task]
        expected = dict(zip(items.positions, items.hashes, strict=False)).get(position, "")
        if not str(sample.get("doc_hash", "")).startswith(expected):
            raise HarnessError(
                f"item {position} of {task} is another document than that which its estimate was "
                "made for; shrink the panel again"
            )
    in_order = {
        task: [values[task][position] for position in items.positions]
        for task, items in estimate.tasks.items()
    }
    score = estimate.score(in_order)
    return score, estimate.stderr(score)

"""Items answered by both paths are paired, and their prompts and responses compared."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..storage._receipt import Item, items
from ..storage.result import Result
from ..storage.store import Store

__all__ = ["PairedItems", "paired_items"]

_HALVES = ("bfloat16", "float16")


@dataclass(frozen=True)
class PairedItems:
    """The items that both of two results have.

    Attributes
    ----------
    own, other : tuple of float
        What each was worth.
    n_prompts, n_responses : int
        Items whose prompts differ, and of the others those whose responses do.
    generated : bool
        Whether the responses are texts.

    See Also
    --------
    TwinScore : Has them as ``items``, where both paths have items.

    """

    own: tuple[float, ...]
    other: tuple[float, ...]
    n_prompts: int
    n_responses: int
    generated: bool


def paired_items(
    own: Result, own_store: Store, other: Result, other_store: Store, *, metric: str, dtype: str
) -> PairedItems:
    """Pair the items of two results by task and number.

    Parameters
    ----------
    own, other : Result
        Of one model and one benchmark.
    own_store, other_store : Store
        Where the samples of each are.
    metric : str
        What an item is worth, "+" between several.
    dtype : str
        Of the weights: log-likelihoods of half precision differ a little without a cause.

    Raises
    ------
    StoreError
        Samples are gone, or damaged.

    """
    second = {(item.task, item.item): item for item in items(other_store, other)}
    worth: tuple[list[float], list[float]] = ([], [])
    n_prompts = n_responses = 0
    generated = False
    for item in items(own_store, own):
        twin = second.get((item.task, item.item))
        if twin is None:
            continue
        values = _worth(item, metric), _worth(twin, metric)
        if any(map(math.isnan, values)):
            continue
        worth[0].append(values[0])
        worth[1].append(values[1])
        generated |= item.log_likelihoods is None
        if item.prompt != twin.prompt:
            n_prompts += 1
        elif not _alike(item, twin, is_half=any(half in dtype for half in _HALVES)):
            n_responses += 1
    return PairedItems(tuple(worth[0]), tuple(worth[1]), n_prompts, n_responses, generated)


def _worth(item: Item, metric: str) -> float:
    values = [item.metrics.get(name, math.nan) for name in metric.split("+")]
    return math.fsum(values) / len(values)


def _alike(own: Item, other: Item, *, is_half: bool) -> bool:
    if own.log_likelihoods is None or other.log_likelihoods is None:
        return own.answers == other.answers
    absolute, relative = (0.05, 0.02) if is_half else (5e-4, 1e-4)
    if len(own.log_likelihoods) != len(other.log_likelihoods):
        return False
    return bool(
        np.allclose(own.log_likelihoods, other.log_likelihoods, rtol=relative, atol=absolute)
    )

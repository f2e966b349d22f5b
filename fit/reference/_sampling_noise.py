"""A score on few items is noisier than the published scores that a law was fitted to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..table._table import ScoreTable
from ._reference import Reference

__all__ = ["NEARLY_ALL", "full_items", "items_of", "noise_beyond", "sampling_noise"]

Array = NDArray[np.float64]

NEARLY_ALL = 0.9
"""A score on this share of the items counts as one on all of them."""


def sampling_noise(
    table: ScoreTable, model: str, reference: Reference, benchmarks: Sequence[str]
) -> Array:
    """Return the standard deviation (p,) that a model's scores have beyond those on all items.

    It is 0 where a score is missing, is of all items, or of an unknown number of them.
    """
    own = table.select(models=[model])
    there = [b for b in benchmarks if b in own.benchmarks]
    scores = dict(zip(there, own.array(there)[0], strict=True))
    items = items_of(own, reference, there)
    cells = np.array([scores.get(b, np.nan) for b in benchmarks], dtype=float)
    measured = np.array([items.get(b, np.nan) for b in benchmarks], dtype=float)
    full = full_items(reference, benchmarks)
    few = measured < NEARLY_ALL * full
    return np.where(few, noise_beyond(cells, measured, full), 0.0)


def items_of(own: ScoreTable, reference: Reference, benchmarks: Sequence[str]) -> dict[str, float]:
    """Return on how many items each score of a table of one model rests; NaN where unknown.

    A score that states no number has that which its standard error implies, s (1 - s) / stderr².
    """
    if not benchmarks:
        return {}
    stated = own.array(benchmarks, "n_items").astype(float)[0]
    score = own.array(benchmarks).astype(float)[0]
    stderr = own.array(benchmarks, "stderr").astype(float)[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        implied = np.where(stderr > 0, score * (1 - score) / stderr**2, np.nan)
    return dict(zip(benchmarks, np.where(np.isnan(stated), implied, stated), strict=True))


def full_items(reference: Reference, benchmarks: Sequence[str]) -> Array:
    """Return how many items (p,) each benchmark of a reference has; NaN where it states none."""
    known = {name: b.n_items for name, b in reference.benchmarks.items()}
    return np.array([known.get(b) or np.nan for b in benchmarks], dtype=float)


def noise_beyond(scores: ArrayLike, n_items: ArrayLike, n_full: ArrayLike) -> Array:
    r"""Return the standard deviation of scores on n items about those on all N.

    Notes
    -----
    √(s (1 − s) (1/n − 1/N)), the noise of a sample without replacement; s is moved from 0 and 1 by
    one item of success and failure. 0 where n or N is unknown, or n is no less than N.

    Examples
    --------
    >>> from capspace.fit.reference._sampling_noise import noise_beyond
    >>> noise_beyond([0.5, 0.5], [100, 1000], [1000, 1000]).round(3).tolist()
    [0.047, 0.0]

    """
    s, n, full = (np.asarray(v, dtype=float) for v in (scores, n_items, n_full))
    inside = (np.clip(s, 0, 1) * n + 1) / (n + 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = inside * (1 - inside) * (1 / n - 1 / full)
    return np.asarray(np.sqrt(np.maximum(np.nan_to_num(variance), 0.0)))

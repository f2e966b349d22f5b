"""The sampling error of a score is stated, or follows from the number of its items."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._table import ScoreTable

__all__ = [
    "binomial_stderr",
    "sampling_errors",
    "shown_stderr",
    "unstated_errors",
    "with_sampling_errors",
]

Array = NDArray[np.float64]


def binomial_stderr(score: ArrayLike, n_items: ArrayLike) -> Array:
    r"""Return the standard error of scores on n items of their own, NaN where n is.

    Parameters
    ----------
    score : array
        Fractions in [0, 1].
    n_items : array, broadcast with ``score``
        At least 1.

    Notes
    -----
    √(q(1 − q)/n) with q = (n p + 1)/(n + 2), the mean of the posterior of a uniform prior: of a
    score of 0 or 1 the plain √(p(1 − p)/n) is 0, as if it were exact. No score between 0 and 1 per
    item has a larger variance than a binomial one.

    Examples
    --------
    >>> from capspace.fit.table.sampling import binomial_stderr
    >>> binomial_stderr([0.5, 1.0], [100, 2]).round(3).tolist()
    [0.05, 0.306]

    """
    p, n = np.asarray(score, dtype=float), np.asarray(n_items, dtype=float)
    q = (n * p + 1) / (n + 2)
    return np.asarray(np.sqrt(np.maximum(q * (1 - q), 0.0) / n))


def sampling_errors(rows: Mapping[str, NDArray[Any]]) -> Array:
    """Return the standard error (n,) of rows: as stated, else of their items, else NaN.

    An error that is stated as 0 counts as not stated where the number of items is known.
    """
    stated = np.asarray(rows["stderr"], dtype=float)
    of_items = binomial_stderr(rows["score"], rows["n_items"])
    unknown = np.isnan(stated) | ((stated == 0) & ~np.isnan(of_items))
    return np.where(unknown, of_items, stated)


def shown_stderr(score: float, stderr: float, n_items: float | None) -> float:
    """Return a standard error as it is shown: one of 0, of few items alike, is that of the items.

    Examples
    --------
    >>> from capspace.fit.table.sampling import shown_stderr
    >>> round(shown_stderr(0.0, 0.0, 2), 3), shown_stderr(0.5, 0.1, 25)
    (0.306, 0.1)

    """
    if stderr != 0 or not n_items or math.isnan(n_items):
        return stderr
    return float(binomial_stderr(score, n_items))


def with_sampling_errors(table: ScoreTable) -> ScoreTable:
    """Return a table of fractions whose standard errors are those of ``sampling_errors``."""
    return replace(table, scores=table.scores.assign(stderr=sampling_errors(table.rows)))


def unstated_errors(table: ScoreTable) -> str:
    """Return in a line which scores state neither standard error nor items; "" if none do."""
    rows = table.rows
    unknown = np.isnan(sampling_errors(rows))
    names = list(dict.fromkeys(rows["benchmark"][unknown].tolist()))
    if not names:
        return ""
    return (
        f"no standard error or number of items stated: {', '.join(names)}; intervals assume the "
        "sampling error of the reference's own scores"
    )

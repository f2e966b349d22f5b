"""Responses are the scores of many models on each item of a benchmark, between 0 and 1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .._display import counted
from ..errors import FitError, TableError

__all__ = ["Responses", "checked_matrix", "organisation"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, repr=False, eq=False)
class Responses:
    """What each of many models scored on each item of a benchmark.

    Parameters
    ----------
    values : array (n_models, n_items)
        Scores of single items, 0 to 1; NaN where a model did not answer.
    models, items : sequence of str
        Their names; no item may be there twice.
    families : sequence of str, optional
        Whom models are akin to; each model is its own family where it has none.
    weights : array (n_items,), optional
        How much each item counts in the benchmark's score; they are scaled to add up to 1. By
        default each counts alike.

    Raises
    ------
    TableError
        An item is there twice, a score is not between 0 and 1, or an item or a model has none.

    See Also
    --------
    read_responses : Reads them from files.
    shorten, select_items : Choose among their items.

    Examples
    --------
    >>> responses = Responses([[1, 0], [1, 1]], models=["a", "b"], items=["q1", "q2"])
    >>> responses.values.mean(axis=1).tolist()
    [0.5, 1.0]

    """

    values: Floats
    models: Sequence[str]
    items: Sequence[str]
    families: Sequence[str] = ()
    weights: Floats = field(default_factory=lambda: np.array([]))

    def __post_init__(self) -> None:
        values = checked_matrix(self.values, self.models, self.items)
        twice = [item for item, n in Counter(self.items).items() if n > 1]
        if twice:
            raise TableError(f"item {twice[0]!r} is there twice; give each item one column")
        object.__setattr__(self, "values", values)
        n_models, n_items = values.shape
        weights = np.asarray(self.weights, float)
        weights = weights if weights.size else np.ones(n_items)
        if weights.shape != (n_items,) or not (weights > 0).all():
            raise FitError(f"weights need one number above 0 for each of the {n_items} items")
        object.__setattr__(self, "weights", weights / weights.sum())
        named = list(self.families) or [""] * n_models
        if len(named) != n_models:
            raise FitError(f"{len(named)} families for {n_models} models")
        own = [f or m for f, m in zip(named, self.models, strict=True)]
        object.__setattr__(self, "families", tuple(own))

    def __repr__(self) -> str:
        return f"Responses({counted(self.n_models, 'model')} × {counted(self.n_items, 'item')})"

    @cached_property
    def n_models(self) -> int:
        """Models in all."""
        return len(self.models)

    @cached_property
    def n_items(self) -> int:
        """Items in all."""
        return len(self.items)

    def of(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Responses:
        """Return the responses of some models, by position or by a mask."""
        at = np.arange(self.n_models)[rows]
        return Responses(
            self.values[at],
            [self.models[i] for i in at],
            self.items,
            [self.families[i] for i in at],
            self.weights,
        )


def organisation(model: str) -> str:
    """Return the organisation in a model's name, as in ``org/model``; "" where it names none."""
    return model.split("/")[0] if "/" in model else ""


def checked_matrix(values: object, models: Sequence[str], items: Sequence[str]) -> Floats:
    """Return responses as a matrix (models, items) of numbers from 0 to 1 and NaN.

    Raises
    ------
    TableError
        It is no such matrix; the message names model and item.

    """
    matrix = np.asarray(values, float)
    if matrix.shape != (len(models), len(items)) or not matrix.size:
        raise TableError(
            f"responses have the shape {matrix.shape}; {len(models)} models and {len(items)} items "
            "need a row and a column each"
        )
    wrong = np.argwhere(~((matrix >= 0) & (matrix <= 1) | np.isnan(matrix)))
    if len(wrong):
        row, column = wrong[0]
        raise TableError(
            f"model {models[row]!r}, item {items[column]!r}: the response is "
            f"{matrix[row, column]:g}; each is 0 for wrong, 1 for right, or a fraction between them"
        )
    for axis, names, what in ((0, items, "item"), (1, models, "model")):
        empty = np.flatnonzero(np.isnan(matrix).all(axis=axis))
        if len(empty):
            raise TableError(f"{what} {names[empty[0]]!r} has no response at all; leave it out")
    return matrix

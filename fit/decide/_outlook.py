"""An outlook says how a model's targets are predicted now, and how they would be after measuring.

A benchmark that is not measured is drawn from what the model's known scores leave open; the law
that predicts then predicts from the known scores and the drawn one. So the expected intervals have
the curvature of the law, its choice of benchmarks and its noise in them, and need no approximation
of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import UnknownNameError
from ..reference import Reference, Target
from ..reference._sampling_noise import NEARLY_ALL
from ..table._table import ScoreTable

__all__ = ["N_DRAWS", "Bounds", "Measurements", "Outlook", "expected_widths", "only_model"]

Array = NDArray[np.float64]

N_DRAWS = 64


@dataclass(frozen=True)
class Bounds:
    """Predicted scores with their intervals, of any shape that ends in t targets.

    Attributes
    ----------
    mean, lower, upper : (..., t)
        Fractions.

    See Also
    --------
    next_evaluations : Its steps have them as ``bounds``.

    """

    mean: Array
    lower: Array
    upper: Array

    @property
    def width(self) -> Array:
        """From lower to upper end."""
        return self.upper - self.lower


@dataclass(frozen=True)
class Measurements:
    """What is known of a model's cheap scores.

    Attributes
    ----------
    benchmarks : tuple of c str
    cells : (c,)
        Scores, NaN where not measured.
    n_items : (c,)
        Items that each rests on; NaN where unknown or not measured.
    n_full : (c,)
        Items that each benchmark has; NaN where unknown.

    """

    benchmarks: tuple[str, ...]
    cells: Array
    n_items: Array
    n_full: Array

    def open(self) -> list[int]:
        """Return the numbers of the benchmarks of which items are left to measure."""
        few = self.n_items < NEARLY_ALL * self.n_full
        return [int(j) for j in np.flatnonzero(np.isnan(self.cells) | few)]


class Outlook(Protocol):
    """The predictions of a model on t targets, under any measurements that it might have."""

    @property
    def model(self) -> str:
        """Its name."""

    @property
    def targets(self) -> tuple[Target, ...]:
        """What is predicted."""

    @property
    def measured(self) -> Measurements:
        """What is known of its cheap scores."""

    @property
    def level(self) -> float:
        """Nominal coverage of the intervals."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know."""

    def now(self) -> Bounds:
        """Return what is predicted now, of shape (t,)."""

    def after(self, sets: Sequence[Mapping[int, float]]) -> Bounds:
        """Return what would be predicted after each of s sets of measurements.

        Parameters
        ----------
        sets : sequence of mapping of benchmark number to items
            NaN items stand for all of a benchmark whose number of items is unknown.

        Returns
        -------
        Bounds
            Of shape (s, d, t), d plausible outcomes of the measurements.

        """


def expected_widths(outlook: Outlook, sets: Sequence[Mapping[int, float]]) -> Array:
    """Return the expected widths (s, t) of the targets' intervals after each set."""
    return np.asarray(outlook.after(sets).width.mean(axis=1))


def only_model(table: ScoreTable, model: str | None) -> str:
    """Return the model to decide about: the named one, or the only one of the table.

    Raises
    ------
    UnknownNameError
        The table has none, or several and none is named.

    """
    names = [str(name) for name in table.facts["model"]]
    if model is not None:
        table.select(models=[model])  # an unknown name is refused with its near matches
        return model
    if len(names) != 1:
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        raise UnknownNameError(
            f"the table has {len(names)} models ({shown}); name the one to decide about"
            if names
            else "the table has no model"
        )
    return names[0]


def measurements_of(table: ScoreTable, model: str, reference: Reference) -> Measurements:
    """Return the measurements of a model on the benchmarks of a reference."""
    from ..reference._sampling_noise import full_items, items_of

    own = table.select(models=[model]).require_fractions()
    benchmarks = tuple(reference.benchmarks)
    there = [b for b in benchmarks if b in own.benchmarks]
    if not there:
        raise UnknownNameError(
            f"{model} has no score on a benchmark that predictions start from "
            f"({', '.join(benchmarks)}); measure one of them first"
        )
    scores = dict(zip(there, own.array(there)[0], strict=True))
    items = items_of(own, reference, there)
    return Measurements(
        benchmarks,
        np.array([scores.get(b, np.nan) for b in benchmarks], dtype=float),
        np.array([items.get(b, np.nan) for b in benchmarks], dtype=float),
        full_items(reference, benchmarks),
    )

"""Gates refuse numbers that back-tests have shown to be worthless, each with a reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from ._training import TrainingTable
from ._views import FEWEST_MODELS, Views

__all__ = ["Gate", "Gates", "fit_gates"]

Array = NDArray[np.float64]

BEGUN = 0.40
FEWEST_CHEAP = 2
MOST_MONTHS = 6.0
_MARGIN = 0.5


class Gate(IntEnum):
    """Why no number is given; 0 where it is."""

    OPEN = 0
    NOT_BEGUN = 1
    FEW_MODELS = 2
    TOO_LATE = 3
    FEW_CHEAP = 4
    NO_ANCHOR = 5
    OUTSIDE = 6


@dataclass(frozen=True)
class Gates:
    """What decides whether a number is given for a target.

    Attributes
    ----------
    best : (t,)
        Best training score of each target; NaN where it has no ceiling, and counts as begun.
    n_models : (t,)
    anchors : tuple of int
        Cheap columns of which a model needs one, by their number among the cheap columns.
    anchor_names : tuple of str

    """

    best: Array
    n_models: Array
    anchors: tuple[int, ...]
    anchor_names: tuple[str, ...]

    def check(self, views: Views, cheap: Array, facts: Array) -> NDArray[np.int64]:
        """Return the gate (n, t) that refuses each number, the first that does.

        Parameters
        ----------
        views : Views
            Of the same training table.
        cheap : (n, c)
            Cheap cells on the scale of the fits.
        facts : (n, 2)
            Release date and reasoning.

        """
        known = ~np.isnan(cheap)
        rows = self.check_models(views, cheap, facts)
        early = rows != Gate.TOO_LATE
        if self.anchors:
            rows[early & ~known[:, list(self.anchors)].any(axis=1)] = Gate.NO_ANCHOR
        rows[early & (known.sum(axis=1) < FEWEST_CHEAP)] = Gate.FEW_CHEAP
        columns = np.zeros(len(self.best), dtype=np.int64)
        columns[self.n_models < FEWEST_MODELS] = Gate.FEW_MODELS
        columns[self.best < BEGUN] = Gate.NOT_BEGUN
        return np.where(columns[None] > 0, columns[None], rows[:, None])

    def check_models(self, views: Views, cheap: Array, facts: Array) -> NDArray[np.int64]:
        """Return the gate (n,) of each model that refuses all of its scores, cheap ones included.

        It is too new, or lies outside the range of the training models. The parameters are those of
        ``check``.
        """
        rows = np.zeros(len(cheap), dtype=np.int64)
        rows[_beyond(views, cheap, facts) > _MARGIN] = Gate.OUTSIDE
        rows[np.nan_to_num(views.months_ahead(facts[:, 0])) > MOST_MONTHS] = Gate.TOO_LATE
        return rows

    def reason(self, gate: int, target: int) -> str:
        """Return the sentence of a gate for a target by its number; "" where it is open."""
        match Gate(gate):
            case Gate.NOT_BEGUN:
                return (
                    f"no model of the reference reaches {BEGUN:.0%} (the best has "
                    f"{self.best[target]:.0%}): how fast scores rise from there is not known"
                )
            case Gate.FEW_MODELS:
                return (
                    f"{int(self.n_models[target])} models of the reference have this score; "
                    f"a prediction needs {FEWEST_MODELS}"
                )
            case Gate.TOO_LATE:
                return (
                    f"the model was released more than {MOST_MONTHS:.0f} months after the last "
                    "model of the reference, which needs an update"
                )
            case Gate.FEW_CHEAP:
                return f"fewer than {FEWEST_CHEAP} of the reference's cheap benchmarks are known"
            case Gate.NO_ANCHOR:
                return f"a prediction needs the model's score on {' or '.join(self.anchor_names)}"
            case Gate.OUTSIDE:
                return "the model lies outside the capabilities of the reference's models"
        return ""


def fit_gates(table: TrainingTable) -> Gates:
    """Return the gates that a training table gives."""
    columns = table.columns
    targets = list(columns.targets)
    score = table.score[:, targets]
    known = ~np.isnan(score)
    best = np.where(known, score, -np.inf).max(axis=0, initial=-np.inf)
    best = np.where(known.any(axis=0) & ~columns.linear[targets], best, np.nan)
    return Gates(
        best,
        known.sum(axis=0).astype(float),
        tuple(columns.cheap.index(j) for j in columns.anchors if j in columns.cheap),
        tuple(columns.names[j] for j in columns.anchors),
    )


def _beyond(views: Views, cheap: Array, facts: Array) -> Array:
    """Return how far (n,) rows lie outside the training range, in its standard deviations."""
    unit = views.places.std(axis=0)
    unit = np.where(unit > 0, unit, 1.0)
    place = views.place(cheap, facts)[0]
    above = (place - views.places.max(axis=0)) / unit
    below = (views.places.min(axis=0) - place) / unit
    return np.asarray(np.maximum(above, below).max(axis=1))

"""What is known of new models: facts, and how far their scores may lie from a training table's."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..table.numbers import check_unique
from ._training import decimal_years, reasoning_signs
from ._views import Views
from .scales import score_to_z, z_to_score

__all__ = ["deviation_of_points", "facts_of_rows"]

Array = NDArray[np.float64]


def facts_of_rows(facts: pd.DataFrame | None, index: pd.Index) -> Array:
    """Return release date and reasoning (n, 2) of rows; NaN where unknown."""
    if facts is None:
        return np.full((len(index), 2), np.nan)
    check_unique(facts.index, "models with facts")
    about = facts.reindex(index)
    years = (
        decimal_years(about["release_date"])
        if "release_date" in about
        else np.full(len(index), np.nan)
    )
    return np.column_stack([years, reasoning_signs(about)])


def deviation_of_points(
    views: Views, cheap: Array, facts: Array, off: Array, linear: NDArray[np.bool_]
) -> Array:
    """Return the standard deviation (n, t) of points that cheap scores of another source give.

    Parameters
    ----------
    views : Views
        That predict.
    cheap : (n, c)
        Cheap cells on the scale of the fits.
    facts : (n, 2)
        Release date and reasoning.
    off : (n, c)
        Standard deviations of the cells about those of the training models' sources, in scores.
    linear : (c,) array of bool
        Cheap columns without floor and ceiling.

    Notes
    -----
    The effect of a cell is half the difference between the points of its score one deviation up and
    one down; those of several cells add in squares.

    """
    score = z_to_score(cheap, linear)
    square = np.zeros((len(cheap), len(views.targets)))
    for j in np.flatnonzero((off > 0).any(axis=0)):
        moved = []
        for sign in (-1, 1):
            value = score[:, j] + sign * off[:, j]
            shifted = cheap.copy()
            shifted[:, j] = score_to_z(
                value if linear[j] else np.clip(value, 0.0, 1.0), bool(linear[j])
            )
            moved.append(views.blend(shifted, facts)[0])
        square += ((moved[1] - moved[0]) / 2) ** 2
    return np.sqrt(square)

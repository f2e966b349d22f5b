"""Inputs on new models: scores, facts, and how far the scores of other sources may be off."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import UnknownNameError, near_matches
from ..table.numbers import check_fractions, check_unique, float_frame
from ._training import decimal_years, reasoning_of, reasoning_signs
from ._views import Views
from .scales import score_to_z, z_to_score

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "effects_of_cells",
    "facts_of_rows",
    "fractions",
    "normal_quantile",
    "numbers_of",
    "on_scale",
]

Array = NDArray[np.float64]


def facts_of_rows(facts: pd.DataFrame | None, models: pd.Index) -> Array:
    """Return release date in decimal years and the sign of reasoning (n, 2), NaN where unknown."""
    if facts is None:
        return np.full((len(models), 2), np.nan)
    check_unique(facts.index, "models with facts")
    about = facts.reindex(models)
    years = (
        decimal_years(about["release_date"].items())
        if "release_date" in about
        else np.full(len(models), np.nan)
    )
    return np.column_stack([years, reasoning_signs(reasoning_of(about))])


def effects_of_cells(
    views: Views, cheap: Array, facts: Array, off: Array, linear: NDArray[np.bool_]
) -> Array:
    """Return how far (n, c, t) a deviation of each cheap score moves the points.

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
    one down, and has the sign of that; those of independent cells add in squares.

    """
    score = z_to_score(cheap, linear)
    effects = np.zeros((*cheap.shape, len(views.targets)))
    for j in np.flatnonzero((off > 0).any(axis=0)):
        moved = []
        for sign in (-1, 1):
            value = score[:, j] + sign * off[:, j]
            shifted = cheap.copy()
            shifted[:, j] = score_to_z(
                value if linear[j] else np.clip(value, 0.0, 1.0), bool(linear[j])
            )
            moved.append(views.blend(shifted, facts)[0])
        effects[:, j] = (moved[1] - moved[0]) / 2
    return effects


def fractions(rows: pd.DataFrame, benchmarks: Collection[str]) -> Array:
    """Return scores (n, p) on benchmarks, NaN where not measured."""
    check_unique(rows.index, "models to predict")
    check_unique(rows.columns, "columns")
    return float_frame(rows.reindex(columns=list(benchmarks))).to_numpy(dtype=float)


def on_scale(
    cells: Array, models: Sequence[object], benchmarks: Sequence[str], linear: Sequence[str]
) -> Array:
    """Return scores (n, p) on the scale of the fits; those that are not ``linear`` are fractions.

    Raises
    ------
    FitError
        One is no fraction.

    """
    straight = np.array([b in linear for b in benchmarks], dtype=bool)
    outside = ((cells < 0) | (cells > 1)).any(axis=0) & ~straight
    if outside.any():
        import pandas as pd

        j = int(np.argmax(outside))
        check_fractions(pd.Series(cells[:, j], list(models)), benchmarks[j])
    return score_to_z(cells, straight)


def normal_quantile(level: float) -> float:
    """Return how many deviations of a normal variable lie on either side of an interval."""
    from statistics import NormalDist

    return NormalDist().inv_cdf((1 + level) / 2)


def numbers_of(targets: Sequence[str] | None, known: Sequence[str]) -> list[int]:
    """Return the places of targets among the known ones, all of them by default.

    Raises
    ------
    UnknownNameError
        One is not among them; near matches are named.

    """
    names = known if targets is None else targets
    for name in names:
        if name not in known:
            raise UnknownNameError(
                f"{name!r} is no target of this fit{near_matches(name, known)}; it has "
                f"{', '.join(known)}"
            )
    return [known.index(name) for name in names]

"""The missing cells of a row are filled from its known ones, unless a gate refuses the number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._gates import Gates
from ._variational import FactorPosterior
from ._views import Views
from .scales import z_to_score

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["filled_cells", "frame_of_cells", "reasons_of_cells"]

Array = NDArray[np.float64]


def filled_cells(factor: FactorPosterior, z: Array, facts: Array | None) -> tuple[Array, Array]:
    """Return mean and standard deviation (n, p) of all cells, on the scale of the fits.

    Parameters
    ----------
    factor : FactorPosterior
        Of the p columns, and of the two facts behind them where those are given.
    z : (n, p)
        NaN where not known.
    facts : (n, 2) or None
        Release date and reasoning.

    """
    known = z if facts is None else np.column_stack([z, facts])
    mean, variance = factor.predict(*factor.place(known))
    p = z.shape[1]
    return mean[:, :p], np.sqrt(variance[:, :p])


def reasons_of_cells(
    views: Views,
    gates: Gates,
    z: Array,
    facts: Array,
    columns: Sequence[str],
    names: Sequence[str],
) -> NDArray[Any]:
    """Return why (n, p) there is no number for a cell, were it missing; "" where there is.

    Parameters
    ----------
    views, gates
        Of the same fit.
    z : (n, p)
        Cells on the scale of the fits.
    facts : (n, 2)
        Release date and reasoning.
    columns : sequence of p str
        All benchmarks.
    names : sequence of c str
        The cheap ones.

    """
    place = {name: j for j, name in enumerate(columns)}
    cheap = z[:, [place[name] for name in names]]
    of_models = gates.check_models(views, cheap, facts)
    of_targets = gates.check(views, cheap, facts)
    number = {j: t for t, j in enumerate(views.targets)}
    reasons = np.full(z.shape, "", dtype=object)
    for j in range(z.shape[1]):
        t = number.get(j)
        own = of_models if t is None else of_targets[:, t]
        reasons[:, j] = [gates.reason(int(gate), t or 0) for gate in own]
    return reasons


def frame_of_cells(
    models: Sequence[str],
    columns: Sequence[str],
    cells: Array,
    numbers: tuple[Array, Array],
    scale: float,
    linear: NDArray[np.bool_],
    reasons: NDArray[Any],
    *,
    force: bool,
) -> pd.DataFrame:
    """Return a row per cell, known or filled, as ``FittedPredictor.complete`` describes it."""
    import pandas as pd

    known = ~np.isnan(cells)
    mean, deviation = numbers
    blank = np.asarray(~known.any(axis=1))[:, None]
    if not force:
        blank = blank | (reasons != "")
    filled = []
    for side in (0, -1, 1):
        score = z_to_score(mean + side * scale * deviation, linear)
        filled.append(np.where(known, cells, np.where(blank, np.nan, score)).ravel())
    return pd.DataFrame(
        {
            "model": np.repeat(list(models), len(columns)),
            "benchmark": list(columns) * len(models),
            "known": known.ravel(),
            "score": filled[0],
            "lower": filled[1],
            "upper": filled[2],
            "reason": np.where(known, "", reasons).ravel(),
        }
    )

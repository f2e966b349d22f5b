"""The learned parameters of a fit are held as arrays, with the scale of its intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import check_level
from ._backtests import Residuals, quantile
from ._baselines import Baselines
from ._gates import Gates
from ._inputs import effects_of_cells, facts_of_rows, fractions, normal_quantile, on_scale
from ._views import Views

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FittedArrays"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FittedArrays:
    """The state of a ``FittedPredictor``, whose attributes these are."""

    kind: str
    columns: tuple[str, ...]
    cheap: tuple[str, ...]
    targets: tuple[str, ...]
    linear: tuple[str, ...]
    models: tuple[str, ...]
    last_release: str
    views: Views
    gates: Gates
    baselines: Baselines
    residuals: Residuals

    def scale(self, level: float = 0.9) -> float:
        """Return k, by which predicted widths are multiplied for intervals of a level."""
        check_level(level)
        return quantile(self.residuals.ratios, self.residuals.weight, level)

    def cell_scale(self, level: float = 0.9) -> float:
        """Return the same for single cells of a model that has others of all kinds."""
        check_level(level)
        m = len(self.residuals.cell_ratios)
        return quantile(self.residuals.cell_ratios, np.full(m, 1 / max(m, 1)), level)

    def points_and_halves(
        self, cheap: Array, about: Array, *, level: float = 0.9, spread: Array | None = None
    ) -> tuple[Array, Array]:
        """Return points and half-widths of intervals (n, t), on the scale of the fits.

        Parameters
        ----------
        cheap : (n, c)
            Cheap cells on the scale of the fits; NaN where not measured.
        about, level, spread
            As of ``predict_rows``.

        """
        point, width = self.views.blend(cheap, about)
        half = self.scale(level) * width
        if spread is None:
            return point, half
        effects = self._effects(cheap, about, spread)
        return point, np.hypot(half, normal_quantile(level) * np.sqrt((effects**2).sum(axis=1)))

    def effects(
        self, rows: pd.DataFrame, spread: pd.DataFrame, facts: pd.DataFrame | None = None
    ) -> Array:
        """Return how far (n, c, t) a ``spread`` of each cheap score moves ``in_logits``."""
        off = fractions(spread.reindex(rows.index), self.cheap)
        return self._effects(*self._inputs(rows, facts), off)

    def _inputs(self, rows: pd.DataFrame, facts: pd.DataFrame | None) -> tuple[Array, Array]:
        cells = fractions(rows, self.cheap)
        cheap = on_scale(cells, list(rows.index), self.cheap, self.linear)
        return cheap, facts_of_rows(facts, rows.index)

    def _effects(self, cheap: Array, about: Array, spread: Array) -> Array:
        linear = np.array([b in self.linear for b in self.cheap], dtype=bool)
        return effects_of_cells(self.views, cheap, about, np.nan_to_num(spread), linear)

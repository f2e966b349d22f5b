"""A ridge line from each cheap benchmark to each target, of which the best known one is used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["FEWEST_PAIRS", "SingleLines", "fit_lines"]

Array = NDArray[np.float64]

RIDGE = 0.5
FEWEST_PAIRS = 6


@dataclass(frozen=True)
class SingleLines:
    """Lines from c cheap columns to t targets.

    Attributes
    ----------
    correlation : (t, c)
        NaN where a column is not usable: fewer than six pairs, or no positive correlation.
    centre, scale : (t, c)
        Of the cheap column, over the models that have both.
    intercept, slope : (t, c)
        Target as a function of the standardised column.
    deviation : (t, c)
        Root mean square of the leave-one-out residuals.

    """

    correlation: Array
    centre: Array
    scale: Array
    intercept: Array
    slope: Array
    deviation: Array

    def choice(self, x: Array) -> NDArray[np.intp]:
        """Return the best known cheap column (n, t) of rows x (n, c); -1 where none is usable."""
        known = ~np.isnan(x)[:, None] & ~np.isnan(self.correlation)
        ranked = np.where(known, np.nan_to_num(self.correlation), -1.0)
        return np.where(known.any(axis=2), ranked.argmax(axis=2), -1)

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Return mean and standard deviation (n, t); NaN where no known column is usable."""
        column = self.choice(x)
        target = np.arange(column.shape[1])
        row = np.arange(len(x))[:, None]
        standard = (x[row, column] - self.centre[target, column]) / self.scale[target, column]
        mean = self.intercept[target, column] + self.slope[target, column] * standard
        usable = column >= 0
        return (
            np.where(usable, mean, np.nan),
            np.where(usable, self.deviation[target, column], np.nan),
        )


def fit_lines(x: Array, y: Array, weight: Array | None = None) -> SingleLines:
    """Fit lines from cheap columns x (n, c) to targets y (n, t), NaN where not measured."""
    w = np.ones(len(x)) if weight is None else weight
    shape = (y.shape[1], x.shape[1])
    correlation, centre, scale, intercept, slope, deviation = (
        np.full(shape, np.nan) for _ in range(6)
    )
    seen_x, seen_y = ~np.isnan(x), ~np.isnan(y)
    enough = seen_y.T.astype(int) @ seen_x.astype(int) >= FEWEST_PAIRS
    for t, c in np.argwhere(enough):
        both = seen_x[:, c] & seen_y[:, t]
        a, b, own = x[both, c], y[both, t], w[both]
        total = own.sum()
        if total <= 0:
            continue
        middle_a, middle_b = own @ a / total, own @ b / total
        spread_a = np.sqrt(own @ (a - middle_a) ** 2 / total)
        spread_b = np.sqrt(own @ (b - middle_b) ** 2 / total)
        if spread_a <= 1e-9 or spread_b <= 1e-9:
            continue
        standard = (a - middle_a) / spread_a
        product = own @ (standard * (b - middle_b))
        if product <= 0:
            continue
        steep = product / (total + RIDGE)
        leverage = np.minimum(own * (1 / total + standard**2 / (total + RIDGE)), 0.99)
        left = (b - middle_b - steep * standard) / (1 - leverage)
        correlation[t, c] = product / (total * spread_b)
        centre[t, c], scale[t, c] = middle_a, spread_a
        intercept[t, c], slope[t, c] = middle_b, steep
        deviation[t, c] = np.sqrt(own @ left**2 / total)
    return SingleLines(correlation, centre, scale, intercept, slope, deviation)

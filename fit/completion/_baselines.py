"""Baselines, for comparison with every prediction, need no model of capabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._training import TrainingTable
from .scales import z_to_score

__all__ = ["BASELINES", "NAIVE", "Baselines", "fit_baselines"]

Array = NDArray[np.float64]

BASELINES = ("mean", "trend", "nearest", "single")
"""What stands beside each prediction: mean of the training models, trend over the release date,
score of the nearest model, and the best single benchmark."""

NAIVE = ("mean", "last_five", "trend")
"""Those that know at most the release date; a target is judged by the best of them."""


@dataclass(frozen=True)
class Baselines:
    """What n training models say of t targets without a fit.

    Attributes
    ----------
    score : (n, t)
        Targets as published, NaN where unknown.
    years : (n,)
        Release dates.
    cheap : (n, c)
        Cheap cells, standardised; NaN where unknown.
    centre, scale : (c,)
        Of the cheap columns.
    mean : (t,)
    intercept, slope : (t,)
        Trend over the release date, on the scale of the fits.
    linear : (t,) array of bool

    """

    score: Array
    years: Array
    cheap: Array
    centre: Array
    scale: Array
    mean: Array
    intercept: Array
    slope: Array
    linear: NDArray[np.bool_]

    def predict(
        self, cheap: Array, years: Array, same: NDArray[np.bool_] | None = None
    ) -> dict[str, Array]:
        """Return the baselines "mean", "last_five", "trend" and "nearest", each (n, t).

        Parameters
        ----------
        cheap : (n, c)
            Cheap cells on the scale of the fits.
        years : (n,)
            Release dates.
        same : (n, m) array of bool, optional
            Which of the m training models a row is itself; it is not nearest to itself.

        """
        shape = (len(cheap), len(self.mean))
        trend = self.intercept + self.slope * years[:, None]
        trend = z_to_score(trend, self.linear)
        chosen = self.nearest(cheap, same)
        nearest = np.where(chosen >= 0, self.score[chosen, np.arange(shape[1])], np.nan)
        mean = np.broadcast_to(self.mean, shape)
        return {
            "mean": mean,
            "last_five": self._last_five(years),
            "trend": np.where(np.isnan(trend), mean, trend),
            "nearest": nearest,
        }

    def nearest(self, cheap: Array, same: NDArray[np.bool_] | None = None) -> NDArray[np.intp]:
        """Return the training model (n, t) nearest to each row that has the target; -1 if none.

        Near is a small mean square difference over the cheap columns that both have, of which
        there are two, or all that the row has.
        """
        z = (cheap - self.centre) / self.scale
        here, there = ~np.isnan(z), ~np.isnan(self.cheap)
        shared = here.astype(float) @ there.T.astype(float)
        a, b = np.where(here, z, 0.0), np.where(there, self.cheap, 0.0)
        square = a**2 @ there.T + here @ (b**2).T - 2 * a @ b.T
        enough = shared >= np.minimum(2, np.maximum(here.sum(axis=1), 1))[:, None]
        if same is not None:
            enough &= ~same
        distance = np.where(enough, square / np.maximum(shared, 1), np.inf)
        known = ~np.isnan(self.score)
        far = np.where(known[None], distance[:, :, None], np.inf)
        return np.where(np.isfinite(far).any(axis=1), far.argmin(axis=1), -1)

    def _last_five(self, years: Array) -> Array:
        """Return the mean (n, t) of the five models released last before each date."""
        order = np.argsort(np.where(np.isnan(self.years), -np.inf, self.years), kind="stable")[::-1]
        when, score = self.years[order], self.score[order]
        known = ~np.isnan(score)
        out = np.empty((len(years), score.shape[1]))
        for i, year in enumerate(years):
            before = known if np.isnan(year) else known & (when < year)[:, None]
            use = before & (np.cumsum(before, axis=0) <= 5)
            count = use.sum(axis=0)
            total = np.where(use, score, 0.0).sum(axis=0)
            out[i] = np.where(count > 0, total / np.maximum(count, 1), self.mean)
        return out


def fit_baselines(table: TrainingTable) -> Baselines:
    """Return the baselines that a training table gives."""
    targets = list(table.columns.targets)
    score, z, weight = table.score[:, targets], table.targets, table.weight[:, None]
    known = ~np.isnan(score)
    total = np.maximum((known * weight).sum(axis=0), 1e-12)
    mean = (np.where(known, score, 0.0) * weight).sum(axis=0) / total
    dated = known & ~np.isnan(table.years)[:, None]
    own = dated * weight
    amount = np.maximum(own.sum(axis=0), 1e-12)
    years = np.nan_to_num(table.years)[:, None]
    middle = (own * years).sum(axis=0) / amount
    level = (own * np.where(dated, z, 0.0)).sum(axis=0) / amount
    spread = (own * (years - middle) ** 2).sum(axis=0)
    together = (own * (years - middle) * np.where(dated, z - level, 0.0)).sum(axis=0)
    slope = np.where(spread > 1e-9, together / np.maximum(spread, 1e-9), 0.0)
    any_dated = dated.any(axis=0)
    cheap = table.cheap
    seen = ~np.isnan(cheap)
    count = np.maximum(seen.sum(axis=0), 1)
    centre = np.where(seen, cheap, 0.0).sum(axis=0) / count
    scale = np.sqrt(np.where(seen, (cheap - centre) ** 2, 0.0).sum(axis=0) / count)
    scale[scale <= 1e-9] = 1.0
    return Baselines(
        score,
        table.years,
        (cheap - centre) / scale,
        centre,
        scale,
        np.where(known.any(axis=0), mean, np.nan),
        np.where(any_dated, level - slope * middle, np.nan),
        np.where(any_dated, slope, np.nan),
        table.columns.linear[targets],
    )

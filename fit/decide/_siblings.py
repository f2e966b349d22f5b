"""Each score of a model is predicted from its other scores, by a factor model of a reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from ..completion._variational import FactorPosterior
from ._surprise import Array, Mask, Surprise, surprise_by
from ._tail import Tail

__all__ = ["SiblingModel", "Units", "strength"]

_N_KNOTS = 5

_TYPICAL = 0.9

_BORROWED = 20.0


@dataclass(frozen=True)
class Units:
    """The typical distance of each test, by what is expected.

    Attributes
    ----------
    knot, unit : (p + 1, q)
        Expected values on the scale of the fit, ascending, and the typical distance there.

    """

    knot: Array
    unit: Array

    def at(self, mean: Array) -> Array:
        """Return the typical distances (n, p + 1) at expected values (n, p + 1)."""
        columns = [np.interp(mean[:, t], self.knot[t], self.unit[t]) for t in range(len(self.knot))]
        return np.stack(columns, axis=1)

    @classmethod
    def of(cls, surprise: Surprise) -> Self:
        """Learn them from models that were left out.

        Around each of five quantiles of what was expected, it is the quantile at 0.9 of distances,
        weighted by a Gaussian, pulled towards that of the test, which is pulled towards that of
        all.
        """
        far = np.abs(surprise.distance)
        common = float(np.nanquantile(far, _TYPICAL))
        n_tests = far.shape[1]
        knot = np.tile(np.arange(_N_KNOTS, dtype=float), (n_tests, 1))
        unit = np.full((n_tests, _N_KNOTS), common)
        for t in range(n_tests):
            known = ~np.isnan(far[:, t])
            x, d = surprise.mean[known, t], far[known, t]
            if not known.any() or not np.ptp(x) > 0:
                continue
            own = _pulled(d, np.ones(len(d)), common)
            knot[t] = np.quantile(x, np.linspace(0.05, 0.95, _N_KNOTS))
            knot[t] += np.arange(_N_KNOTS) * 1e-9  # ascending where many are alike
            width = 0.5 * float(x.std())
            for q in range(_N_KNOTS):
                unit[t, q] = _pulled(d, np.exp(-0.5 * ((x - knot[t, q]) / width) ** 2), own)
        return cls(knot, unit)


def _pulled(distance: Array, weight: Array, common: float) -> float:
    """Return the weighted quantile at 0.9, pulled towards a common value."""
    order = np.argsort(distance)
    share = np.cumsum(weight[order]) / weight.sum()
    own = float(distance[order][np.searchsorted(share, _TYPICAL)])
    n = float(weight.sum())
    return (n * own + _BORROWED * common) / (n + _BORROWED)


@dataclass(frozen=True)
class SiblingModel:
    """What scores of one model say about each other, and how often clean ones surprise.

    Attributes
    ----------
    benchmarks : (p,) tuple of str
    generated : (p,) array of bool
        Which are answered in generated text, not by the likelihood of choices.
    posterior : FactorPosterior
        Of scores on the scale of ``score_to_z``.
    units : Units
    cells : Tail
        Of distances in their units, of models whose group was left out of the fit.
    models : Tail
        Of the strongest test of each left-out model, as ``strength``.
    n_models : int
    label : str
        What it was fitted to.

    """

    benchmarks: tuple[str, ...]
    generated: Mask
    posterior: FactorPosterior
    units: Units
    cells: Tail
    models: Tail
    n_models: int
    label: str = ""

    def surprise(self, scores: Array, stderr: Array) -> Surprise:
        """Return how far scores (n, p), NaN where not measured, lie from what siblings say.

        Parameters
        ----------
        scores : (n, p) array
            Fractions.
        stderr : (n, p) array
            Their standard errors; NaN counts as 0.

        """
        return surprise_by(self.posterior, scores, stderr, self.generated)

    def ratio(self, surprise: Surprise) -> Array:
        """Return distances (n, p + 1) in their units, without sign; NaN where nothing is tested."""
        return np.abs(surprise.distance) / self.units.at(surprise.mean)

    def p_value(self, ratio: Array) -> Array:
        """Return the share (n,) of clean models whose strongest of all tests is as strong."""
        return self.models.share_beyond(strength(ratio, self.cells))

    def threshold(self, alarm_rate: float, n_tests: int) -> float:
        """Return the ratio from which one of so many tests is an alarm, or inf."""
        least = self.models.threshold(alarm_rate)
        share = -np.expm1(np.log1p(-np.exp(-least)) / n_tests)  # of 1 - (1 - share)^n = exp(-least)
        return self.cells.threshold(float(share))


def strength(ratio: Array, cells: Tail) -> Array:
    """Return -log p (n,) of the strongest of m tests, p = 1 - (1 - share)^m; NaN without a test."""
    known = ~np.isnan(ratio)
    strongest = np.where(known, ratio, -np.inf).max(axis=1)
    share = cells.share_beyond(strongest)
    with np.errstate(divide="ignore", invalid="ignore"):  # without a test, 0 times infinity
        p = -np.expm1(known.sum(axis=1) * np.log1p(-share))
    return np.where(known.any(axis=1), -np.log(p), np.nan)

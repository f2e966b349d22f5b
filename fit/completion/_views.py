"""Two or three views of each target are fitted together, and blended to a point and a width."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ._gaussian_process import covariance, fit_process
from ._single import FEWEST_PAIRS, SingleLines, fit_lines
from ._training import TrainingTable
from ._variational import FactorPosterior, fit_posterior

__all__ = ["FEWEST_MODELS", "Kind", "ProcessView", "Recipe", "Views", "fit_views"]

Array = NDArray[np.float64]
Kind = Literal["vendor-reported", "single-protocol"]

FEWEST_MODELS = 12
"""Training models that a target needs before a number is given for it."""

_GROWTH = 0.06


@dataclass(frozen=True)
class Recipe:
    """How views are fitted.

    Attributes
    ----------
    kind : {"vendor-reported", "single-protocol"}
    n_components : int
        Factors of all columns.
    n_sweeps : int
        Rounds of each factor model.

    """

    kind: Kind
    n_components: int = 3
    n_sweeps: int = 150


@dataclass(frozen=True)
class ProcessView:
    """Gaussian processes of t targets over places by the cheap columns alone.

    Attributes
    ----------
    factor : FactorPosterior
        Of the cheap columns.
    places : (n, k)
        Of the training models that have a target.
    dual : (t, n)
        0 for a model without the target; NaN for a target without a process.
    kernel : (t, 4)
    centre, scale : (t,)

    """

    factor: FactorPosterior
    places: Array
    dual: Array
    kernel: Array
    centre: Array
    scale: Array

    def predict(self, cheap: Array) -> Array:
        """Return the expected targets (n, t) of cheap cells (n, c)."""
        places = self.factor.place(cheap)[0]
        mean = np.full((len(cheap), len(self.dual)), np.nan)
        for t, (linear, local, length, noise) in enumerate(self.kernel):
            if not np.isnan(linear):
                cross = covariance(places, self.places, (linear, local, length, noise))
                mean[:, t] = self.centre[t] + self.scale[t] * (cross @ self.dual[t])
        return mean


@dataclass(frozen=True)
class Views:
    """The views of t targets from c cheap columns, as fitted on training models.

    Attributes
    ----------
    factor : FactorPosterior
        Of all columns, and of release date and reasoning where vendors report.
    cheap, targets : tuple of int
        Columns of the factor model.
    with_facts : bool
        Whether its last two columns are release date and reasoning.
    lines : SingleLines
    process : ProcessView or None
    places : (n, k)
        Of the training models by their cheap cells, for the range of what was seen.
    n_models : (t,)
        Training models with each target.
    last_release : float
        Of the training models, in decimal years.

    """

    factor: FactorPosterior
    cheap: tuple[int, ...]
    targets: tuple[int, ...]
    with_facts: bool
    lines: SingleLines
    process: ProcessView | None
    places: Array
    n_models: Array
    last_release: float

    def place(self, cheap: Array, facts: Array) -> tuple[Array, Array]:
        """Place rows by cheap cells (n, c), and by date and reasoning (n, 2) where those count."""
        z = np.full((len(cheap), len(self.factor.centre)), np.nan)
        z[:, list(self.cheap)] = cheap
        if self.with_facts:
            z[:, -2:] = facts
        return self.factor.place(z)

    def blend(self, cheap: Array, facts: Array) -> tuple[Array, Array]:
        """Return the point and its unscaled width (n, t), on the scale of the fits."""
        mean, variance = self.factor.predict(*self.place(cheap, facts))
        factor, factor_variance = mean[:, list(self.targets)], variance[:, list(self.targets)]
        single, deviation = self.lines.predict(cheap)
        without = np.isnan(single)
        single = np.where(without, factor, single)
        single_variance = np.where(without, factor_variance, deviation**2)
        views = [factor, np.where(without, np.nan, single)]
        if self.process is not None:
            views.append(self.process.predict(cheap))
        stacked = np.stack(views)
        known = ~np.isnan(stacked)
        point = np.where(known, stacked, 0.0).sum(axis=0) / known.sum(axis=0)
        square = (factor_variance + single_variance) / 2 + (factor - single) ** 2 / 4
        square = square * (1 + 4 / np.maximum(self.n_models, 1))
        return point, np.sqrt(square) * self.growth(facts[:, 0])[:, None]

    def months_ahead(self, years: Array) -> Array:
        """Return months (n,) past the last training release; NaN where a date is unknown."""
        return np.asarray(12 * (years - self.last_release))

    def growth(self, years: Array) -> Array:
        """Return the factor (n,) by which widths grow past the last training release."""
        return 1 + _GROWTH * np.maximum(np.nan_to_num(self.months_ahead(years)), 0.0)


def fit_views(table: TrainingTable, recipe: Recipe) -> Views:
    """Fit the views of all targets on the models of a table."""
    vendor, n_sweeps = recipe.kind == "vendor-reported", recipe.n_sweeps
    z = np.column_stack([table.z, table.facts]) if vendor else table.z
    factor, _ = fit_posterior(
        z, table.weight, n_components=recipe.n_components, student=vendor, n_sweeps=n_sweeps
    )
    cheap, targets = table.cheap, table.targets
    views = Views(
        factor,
        table.columns.cheap,
        table.columns.targets,
        vendor,
        fit_lines(cheap, targets, table.weight),
        None if vendor else _fit_process(table, n_sweeps),
        np.empty((0, recipe.n_components)),
        (~np.isnan(targets)).sum(axis=0).astype(float),
        table.last_release,
    )
    some = ~np.isnan(cheap).all(axis=1)
    places = views.place(cheap[some], table.facts[some])[0]
    return replace(views, places=places)


def _fit_process(table: TrainingTable, n_sweeps: int) -> ProcessView:
    cheap, targets = table.cheap, table.targets
    placed = ~np.isnan(cheap).all(axis=1)
    k = min(2, cheap.shape[1])
    factor, _ = fit_posterior(
        cheap[placed], table.weight[placed], n_components=k, student=False, n_sweeps=n_sweeps
    )
    placed &= ~np.isnan(targets).all(axis=1)
    places = factor.place(cheap[placed])[0]
    t = targets.shape[1]
    dual = np.full((t, len(places)), np.nan)
    kernel, centre, scale = np.full((t, 4), np.nan), np.full(t, np.nan), np.full(t, np.nan)
    for j in range(t):
        y = targets[placed, j]
        known = ~np.isnan(y)
        if known.sum() < FEWEST_PAIRS or not np.ptp(y[known]) > 0:
            continue
        process = fit_process(places[known], y[known])
        dual[j] = 0.0
        dual[j, known] = process.dual
        kernel[j] = process.kernel
        centre[j], scale[j] = process.centre, process.scale
    return ProcessView(factor, places, dual, kernel, centre, scale)

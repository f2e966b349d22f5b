"""Predictions for models that a fit has not seen: providers left out, and forward in time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ._baselines import fit_baselines
from ._gates import fit_gates
from ._training import TrainingTable
from ._views import Recipe, fit_views
from .scales import z_to_score

__all__ = ["ORIGINS", "conformal_scores", "forward_tests", "provider_tests", "quantile"]

Array = NDArray[np.float64]

ORIGINS = (2, 4, 6, 8, 10, 12)
"""Months before the last training release from which forward tests start."""

FEWEST_AT_ORIGIN = 25


def provider_tests(table: TrainingTable, recipe: Recipe) -> pd.DataFrame:
    """Return predictions of each provider's models by fits without that provider.

    Returns
    -------
    DataFrame
        A row per tested cell: model, target (their numbers), point, width and truth on the scale
        of the fits, gate, months ahead of the training models, predicted and true score, and the
        baselines; ``origin`` is NaN.

    """
    parts = []
    for provider in np.unique(table.provider):
        test = (table.provider == provider) & testable(table)
        train = table.provider != provider
        if test.any() and train.sum() > recipe.n_components:
            parts.append(_test(table, train, test, recipe, np.nan))
    return _joined(parts)


def forward_tests(
    table: TrainingTable, recipe: Recipe, origins: tuple[int, ...] = ORIGINS
) -> pd.DataFrame:
    """Return predictions of models released after each origin, by fits on those before.

    Returns
    -------
    DataFrame
        As of ``provider_tests``; ``origin`` is the date in decimal years.

    """
    parts = [
        _test(table, train, test, recipe, origin)
        for origin, train, test in time_splits(table, origins)
    ]
    return _joined(parts)


def time_splits(
    table: TrainingTable, origins: tuple[int, ...] = ORIGINS
) -> Iterator[tuple[float, NDArray[np.bool_], NDArray[np.bool_]]]:
    """Yield origins with at least 25 models before, and the models before and after them."""
    for months in origins:
        origin = table.last_release - months / 12
        train = table.years <= origin
        test = (table.years > origin) & testable(table)
        if train.sum() >= FEWEST_AT_ORIGIN and test.any():
            yield origin, train, test


def conformal_scores(providers: pd.DataFrame, forward: pd.DataFrame) -> tuple[Array, Array]:
    """Return residuals in units of their widths, ascending, and their weights.

    Both kinds of tests have half the weight. Of n tests of a kind each has 1/(n+1): the rest is the
    new cell's own, whose residual may be of any size, so that the weights sum to less than 1. Cells
    for which no number would be given are out.

    References
    ----------
    Lei, G'Sell, Rinaldo, Tibshirani & Wasserman (2018), Distribution-free predictive inference for
    regression, section 2.2.

    """
    values, weights = [], []
    for tests in (providers, forward):
        use = tests[(tests["gate"] == 0) & tests["point"].notna()]
        ratio = ((use["truth"] - use["point"]).abs() / use["width"]).to_numpy(dtype=float)
        if len(ratio):
            values.append(ratio)
            own = use["weight"].to_numpy(dtype=float)
            effective = own.sum() ** 2 / (own**2).sum()
            weights.append(own / own.sum() * effective / (effective + 1))
    if not values:
        return np.empty(0), np.empty(0)
    ratios, weight = np.concatenate(values), np.concatenate(weights)
    order = np.argsort(ratios, kind="stable")
    return ratios[order], weight[order] / len(values)


def quantile(ratios: Array, weight: Array, level: float) -> float:
    """Return the weighted quantile of ascending ratios; NaN where there are none.

    It is the largest of them where their weights do not reach the level.
    """
    if not len(ratios):
        return float("nan")
    place = int(np.searchsorted(np.cumsum(weight), level * (1 - 1e-12)))
    return float(ratios[min(place, len(ratios) - 1)])


def testable(table: TrainingTable) -> NDArray[np.bool_]:
    """Return the models (n,) that have both a cheap score and a target."""
    some_cheap = ~np.isnan(table.cheap).all(axis=1)
    return np.asarray(some_cheap & ~np.isnan(table.targets).all(axis=1))


def _test(
    table: TrainingTable,
    train: NDArray[np.bool_],
    test: NDArray[np.bool_],
    recipe: Recipe,
    origin: float,
) -> pd.DataFrame:
    known, new = table.rows(train), table.rows(test)
    views = fit_views(known, recipe)
    point, width = views.blend(new.cheap, new.facts)
    gate = fit_gates(known).check(views, new.cheap, new.facts)
    naive = fit_baselines(known).predict(new.cheap, new.years)
    targets = list(table.columns.targets)
    linear = table.columns.linear[targets]
    naive["single"] = z_to_score(views.lines.predict(new.cheap)[0], linear)
    row, column = np.nonzero(~np.isnan(new.targets) & (views.n_models > 1))
    cells = {
        "point": point,
        "width": width,
        "truth": new.targets,
        "gate": gate,
        "predicted": z_to_score(point, linear),
        "score": new.score[:, targets],
        **naive,
    }
    return pd.DataFrame(
        {
            "model": np.flatnonzero(test)[row],
            "target": column,
            "origin": origin,
            "months": views.months_ahead(new.years)[row],
            "weight": new.weight[row],
            **{name: values[row, column] for name, values in cells.items()},
        }
    )


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    columns = ["model", "target", "origin", "months", "weight", "point", "width", "truth", "gate"]
    if not parts:
        return pd.DataFrame(columns=columns, dtype=float)
    return pd.concat(parts, ignore_index=True)

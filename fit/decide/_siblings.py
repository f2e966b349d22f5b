"""Each score of a model is predicted from its other scores, by a factor model of a reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..completion._variational import FactorPosterior, fit_posterior
from ..completion.scales import score_to_z
from ..errors import TooFewModelsError
from ._tail import Tail

__all__ = ["LeftOut", "SiblingModel", "Surprise", "Units", "fit_siblings"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

FEWEST_SIBLINGS = 2
"""Other scores of a model that a score is predicted from, at least."""
FEWEST_MODELS = 19
"""Models that a fit needs: of fewer, none can be rarer than one in twenty."""

_N_KNOTS = 5
_N_COMPONENTS = 3
_N_SWEEPS = 150
_N_FOLDS = 10
_TYPICAL = 0.9
_BORROWED = 20.0
_MARGIN = 0.02


@dataclass(frozen=True)
class Surprise:
    """How far scores of n models lie from what their siblings say, for p + 1 tests.

    A test asks for one column each, and the last for all generated columns together.

    Attributes
    ----------
    distance : (n, p + 1)
        In predictive standard deviations; NaN where there is nothing to test.
    mean, deviation : (n, p + 1)
        Expected scores and their standard deviations on the scale of the fit, each column from the
        others; of the generated columns their mean.

    """

    distance: Array
    mean: Array
    deviation: Array


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
    with np.errstate(divide="ignore"):
        p = -np.expm1(known.sum(axis=1) * np.log1p(-share))
    return np.where(known.any(axis=1), -np.log(p), np.nan)


@dataclass(frozen=True)
class LeftOut:
    """Models by fits without their groups.

    Attributes
    ----------
    rows : (m,) array of int
        Which rows of the table were used.
    fold : (m,) array of int
        In which of the fits each was left out.
    surprise : Surprise
        Of each by the fit without it.
    posteriors : mapping of fold to FactorPosterior

    """

    rows: NDArray[np.int_]
    fold: NDArray[np.int_]
    surprise: Surprise
    posteriors: Mapping[int, FactorPosterior]

    def calibrated(
        self, posterior: FactorPosterior, benchmarks: tuple[str, ...], generated: Mask, use: Mask
    ) -> SiblingModel:
        """Return a model whose calibration is by some of the rows (m,)."""
        some = Surprise(
            self.surprise.distance[use], self.surprise.mean[use], self.surprise.deviation[use]
        )
        units = Units.of(some)
        ratio = np.abs(some.distance) / units.at(some.mean)
        cells = Tail.of(ratio.ravel())
        models = Tail.of(strength(ratio, cells))
        return SiblingModel(benchmarks, generated, posterior, units, cells, models, int(use.sum()))

    def without(self, fold: int, whole: SiblingModel) -> SiblingModel:
        """Return the model without a fold, in its fit and in its calibration."""
        use = self.fold != fold
        return self.calibrated(self.posteriors[fold], whole.benchmarks, whole.generated, use)


def fit_siblings(
    scores: ArrayLike,
    benchmarks: Sequence[str],
    groups: Sequence[Any],
    *,
    generated: Mapping[str, bool],
    weight: ArrayLike | None = None,
    student: bool = False,
    label: str = "",
) -> tuple[SiblingModel, LeftOut]:
    """Fit what scores of a model say about each other, and calibrate on models left out.

    Parameters
    ----------
    scores : (n, p) array
        Fractions, NaN where not measured.
    benchmarks : sequence of p str
        Their names.
    groups : sequence of n
        Families or providers; whole ones are left out of the fits that calibrate.
    generated : mapping of benchmark to bool
        Whether it is answered in generated text.
    weight : (n,) array, optional
        How much each model counts in the fit; 1 by default.
    student : bool
        Whether single cells may lie far off, as in scores that vendors report.
    label : str
        What the scores are.

    Raises
    ------
    TooFewModelsError
        Fewer than 19 models, or fewer than three benchmarks, have scores enough; or all models are
        of one group.

    Notes
    -----
    Score j of a model is predicted by the factor model from its others; the distance is divided by
    the predictive standard deviation, and by the typical distance of that benchmark around there.
    Groups are left out in ten folds. The ratios of left-out models form one pool, whose tail gives
    the p of a cell, (1 + number of cells beyond) / (1 + number of cells). The strongest of a
    model's m cells has p = 1 - (1 - p_cell)^m, and how often left-out models have one as small is
    the p of a model: split-conformal over models, so that dependence between cells does not matter.

    References
    ----------
    Vovk, Gammerman & Shafer (2005), Algorithmic Learning in a Random World, chapter 2.

    """
    table = np.asarray(scores, dtype=float)
    use = (~np.isnan(table)).sum(axis=1) > FEWEST_SIBLINGS
    own = [j for j in range(table.shape[1]) if (~np.isnan(table[use, j])).sum() >= 2]
    if use.sum() < FEWEST_MODELS or len(own) <= FEWEST_SIBLINGS:
        raise TooFewModelsError(
            f"{label or 'the table'}: {int(use.sum())} models have at least "
            f"{FEWEST_SIBLINGS + 1} scores; scores are checked against each other from "
            f"{FEWEST_MODELS} models on"
        )
    table, names = table[use][:, own], tuple(benchmarks[j] for j in own)
    trust = np.ones(len(table)) if weight is None else np.asarray(weight, dtype=float)[use]
    texts = np.array([generated[name] for name in names], dtype=bool)
    fold = _folds(np.asarray(groups, dtype=object)[use])
    if fold.max() == 0:
        raise TooFewModelsError(f"{label or 'the table'}: all models are of one family")
    z = score_to_z(table)

    def fitted(rows: Mask) -> FactorPosterior:
        return fit_posterior(
            z[rows],
            trust[rows],
            n_components=min(_N_COMPONENTS, len(names) - 1),
            student=student,
            n_sweeps=_N_SWEEPS,
        )[0]

    posteriors = {k: fitted(fold != k) for k in np.unique(fold).tolist()}
    parts = np.full((3, len(table), len(names) + 1), np.nan)
    for k, posterior in posteriors.items():
        out = fold == k
        part = surprise_by(posterior, table[out], np.full_like(table[out], np.nan), texts)
        parts[:, out] = part.distance, part.mean, part.deviation
    left_out = LeftOut(np.flatnonzero(use), fold, Surprise(*parts), posteriors)
    every = np.ones(len(table), dtype=bool)
    model = left_out.calibrated(fitted(every), names, texts, every)
    return replace(model, label=label), left_out


def _folds(groups: NDArray[Any]) -> NDArray[np.int_]:
    """Return a fold of each row, whole groups together, the folds of like size."""
    sizes = {g: int((groups == g).sum()) for g in dict.fromkeys(groups.tolist())}
    load, fold_of = np.zeros(_N_FOLDS, dtype=int), {}
    for g in sorted(sizes, key=lambda g: (-sizes[g], str(g))):
        fold_of[g] = int(load.argmin())
        load[fold_of[g]] += sizes[g]
    return np.array([fold_of[g] for g in groups.tolist()], dtype=int)


def surprise_by(
    posterior: FactorPosterior, scores: Array, stderr: Array, generated: Mask
) -> Surprise:
    """Return how far scores lie from what siblings say; see ``SiblingModel.surprise``."""
    z, noise = score_to_z(scores), _noise(scores, stderr)
    known = ~np.isnan(z)
    n, p = z.shape
    distance, expected, spread = (np.full((n, p + 1), np.nan) for _ in range(3))
    for j in range(p):
        hidden = np.arange(p) == j
        at = known[:, j] & ((known & ~hidden).sum(axis=1) >= FEWEST_SIBLINGS)
        if at.any():
            mean, deviation = _from_others(posterior, z[at], noise[at], hidden)
            expected[at, j], spread[at, j] = mean[:, j], deviation[:, j]
            distance[at, j] = (z[at, j] - mean[:, j]) / deviation[:, j]
    texts = known & generated
    at = (texts.sum(axis=1) >= 2) & ((known & ~generated).sum(axis=1) >= FEWEST_SIBLINGS)
    if at.any():
        mean, deviation = _from_others(posterior, z[at], noise[at], generated)
        hidden = texts[at]
        for out, part in (
            (distance, (z[at] - mean) / deviation), (expected, mean), (spread, deviation),
        ):  # fmt: skip
            out[at, p] = np.nanmean(np.where(hidden, part, np.nan), axis=1)
    return Surprise(distance, expected, spread)


def _from_others(
    posterior: FactorPosterior, z: Array, noise: Array, hidden: Mask
) -> tuple[Array, Array]:
    """Return mean and standard deviation (n, p) of measured cells, without the hidden columns.

    The noise of a cell adds to its own variance, and moves what others expect by the difference
    between expectations one deviation up and down; those differences add in squares.
    """
    rest = np.where(hidden, np.nan, z)
    mean, variance = posterior.predict(*posterior.place(rest))
    variance = variance + noise**2
    for i in np.flatnonzero((noise > 0).any(axis=0) & ~hidden):
        moved = []
        for sign in (-1.0, 1.0):
            shifted = rest.copy()
            shifted[:, i] += sign * noise[:, i]
            moved.append(posterior.predict(*posterior.place(shifted))[0])
        variance = variance + ((moved[1] - moved[0]) / 2) ** 2
    return mean, np.sqrt(variance)


def _noise(scores: Array, stderr: Array) -> Array:
    """Return standard errors on the scale of the fit, 0 where they are not known."""
    slope = 1 / (scores + _MARGIN) + 1 / (1 + _MARGIN - scores)
    return np.nan_to_num(stderr * slope)

"""A sibling model is fitted to a table, and calibrated on models whose group was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..completion._variational import FactorPosterior, fit_posterior
from ..completion.scales import score_to_z
from ..errors import TooFewModelsError
from ._siblings import SiblingModel, Units, strength
from ._surprise import FEWEST_SIBLINGS, Mask, Surprise, surprise_by
from ._tail import Tail

__all__ = ["LeftOut", "fit_siblings"]

FEWEST_MODELS = 19
"""Models that a fit needs: of fewer, none can be rarer than one in twenty."""

_N_COMPONENTS = 3

_N_SWEEPS = 150

_N_FOLDS = 10


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

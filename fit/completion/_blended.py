"""Blend two or three views of a target, with intervals that its back-tests have calibrated."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Self, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..errors import check_choice
from ._backtests import Residuals, conformal_scores, forward_tests, provider_tests
from ._baselines import fit_baselines
from ._fitted import FittedPredictor
from ._gates import fit_gates
from ._training import TrainingTable, latest_release, training_table
from ._variational import fit_posterior
from ._views import Kind, Recipe, fit_views

__all__ = ["BlendedPredictor", "fitted_predictor"]

Array = NDArray[np.float64]

_CELL_FOLDS = 3
_MOST_RATIOS = 2001


class BlendedPredictor(BaseEstimator):  # type: ignore[misc] # scikit-learn is untyped
    r"""Predict expensive scores of new models from a few cheap ones.

    Parameters
    ----------
    kind : {"vendor-reported", "single-protocol"}, default "vendor-reported"
        "vendor-reported": scores that each vendor measured; the factor model has Student noise,
        and sees release date and whether the model reasons. "single-protocol": scores of one board;
        Gaussian noise, no facts, and a Gaussian process over the cheap columns as a third view.
    n_components : int, default 3
        Factors of the factor model.
    n_sweeps : int, default 150
        Rounds of its fit.

    Attributes
    ----------
    fitted_ : FittedPredictor
        What was learned, as arrays; it predicts, and is stored and loaded.
    scale_ : float
        k, by which predicted widths are multiplied for intervals of 90%.
    provider_tests_, forward_tests_ : DataFrame
        The back-tests that k comes from, a row per tested cell.

    Notes
    -----
    On z = log((s + 0.02) / (1.02 - s)), view A is a ``BayesianFactorModel`` of all columns, which
    gets the cheap cells of a new model alone; view B a ridge on its best cheap benchmark; view C,
    for a single protocol, a ``GaussianProcessLaw`` on two factors of the cheap columns. The point
    is their mean. Its width is s, s² = ((s_A² + s_B²)/2 + (A − B)²/4)(1 + 4/n) with n training
    models of the target, times 1 + 0.06 per month past the last training release. The interval is
    point ± k s with k the quantile of |truth − point|/s over back-tests of the training models:
    half of its weight on providers left out, half on models released after 2, 4, ... 12 months
    before the last release; of m tests of either kind each counts 1/(m+1), as for split conformal
    intervals.

    See Also
    --------
    evaluate_targets : Which targets may be offered.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from capspace.fit import BlendedPredictor
    >>> rng = np.random.default_rng(0)
    >>> ability = rng.normal(size=40)
    >>> names = [f"m{i}" for i in range(40)]
    >>> scores = pd.DataFrame(
    ...     {b: 1 / (1 + np.exp(-ability - rng.normal(0, 0.2, 40))) for b in "ABC"}, index=names)
    >>> facts = pd.DataFrame(
    ...     {"release_date": ["2025-01-01"] * 40, "provider": [f"p{i % 5}" for i in range(40)]},
    ...     index=names)
    >>> predictor = BlendedPredictor(kind="single-protocol")
    >>> predictor = predictor.fit(scores, facts, cheap=["A", "B"], targets=["C"])
    >>> new = pd.DataFrame({"A": [0.5], "B": [0.5]}, index=["new"])
    >>> predictor.predict(new)[["target", "prediction"]].round(1)
      target  prediction
    0      C         0.5

    """

    def __init__(
        self, *, kind: Kind = "vendor-reported", n_components: int = 3, n_sweeps: int = 150
    ) -> None:
        self.kind = kind
        self.n_components = n_components
        self.n_sweeps = n_sweeps

    def fit(
        self,
        scores: pd.DataFrame,
        facts: pd.DataFrame,
        *,
        cheap: Sequence[str],
        targets: Sequence[str],
        linear: Collection[str] = (),
        anchors: Sequence[str] | None = None,
        cut: str | None = None,
        sample_weight: pd.Series | None = None,
    ) -> Self:
        """Fit to published scores of known models.

        Parameters
        ----------
        scores : (n models × p benchmarks) DataFrame
            Fractions in [0, 1], NaN where unknown. Columns that are neither cheap nor targets
            inform the factor model.
        facts : DataFrame by model
            ``release_date`` (ISO), ``provider`` and, where known, ``reasoning``.
        cheap, targets : sequences of str
            Benchmarks that a new model will have, and those to predict.
        linear : collection of str, default ()
            Columns without floor and ceiling, such as Elo ratings.
        anchors : sequence of str, optional
            Cheap benchmarks of which a new model needs one; by default those whose names begin
            with GPQA or MMLU-Pro.
        cut : str, optional
            ISO date; models released later are left out of everything.
        sample_weight : Series by model, optional
            How much each model counts.

        Raises
        ------
        FitError
            A score is no fraction, a date no date, or a benchmark both cheap and a target.
        UnknownNameError
            A benchmark is no column of the scores.
        TooFewModelsError
            Fewer than two models are left.

        """
        check_choice(self.kind, get_args(Kind), "kind")
        table = training_table(
            scores,
            facts,
            cheap=cheap,
            targets=targets,
            linear=linear,
            anchors=anchors,
            cut=cut,
            sample_weight=sample_weight,
        )
        recipe = Recipe(self.kind, self.n_components, self.n_sweeps)
        self.provider_tests_ = provider_tests(table, recipe)
        self.forward_tests_ = forward_tests(table, recipe)
        self.fitted_ = fitted_predictor(
            table, recipe, self.provider_tests_, self.forward_tests_, latest_release(facts, table)
        )
        self.scale_ = self.fitted_.scale()
        return self

    def predict(
        self,
        rows: pd.DataFrame,
        facts: pd.DataFrame | None = None,
        *,
        targets: Sequence[str] | None = None,
        level: float = 0.9,
        force: bool = False,
    ) -> pd.DataFrame:
        """Predict targets of new models; see ``FittedPredictor.predict``."""
        check_is_fitted(self)
        return self.fitted_.predict(rows, facts, targets=targets, level=level, force=force)


def fitted_predictor(
    table: TrainingTable,
    recipe: Recipe,
    providers: pd.DataFrame,
    forward: pd.DataFrame,
    last_release: str,
) -> FittedPredictor:
    """Fit everything to a table, of which the back-tests are given."""
    names = table.columns.names
    ratios, weight = conformal_scores(providers, forward)
    return FittedPredictor(
        recipe.kind,
        names,
        tuple(names[j] for j in table.columns.cheap),
        tuple(names[j] for j in table.columns.targets),
        tuple(n for n, straight in zip(names, table.columns.linear, strict=True) if straight),
        tuple(map(str, table.models)),
        last_release,
        fit_views(table, recipe),
        fit_gates(table),
        fit_baselines(table),
        Residuals(ratios, weight, _cell_ratios(table, recipe)),
    )


def _cell_ratios(table: TrainingTable, recipe: Recipe) -> Array:
    """Return |error| / width of cells (m,), each predicted by a fit without a third of them."""
    vendor = recipe.kind == "vendor-reported"
    z = np.column_stack([table.z, table.facts]) if vendor else table.z
    p = table.z.shape[1]
    seen = ~np.isnan(table.z)
    fold = np.random.default_rng(0).integers(_CELL_FOLDS, size=seen.shape)
    ratios = []
    for k in range(_CELL_FOLDS):
        hidden = seen & (fold == k)
        train = z.copy()
        train[:, :p][hidden] = np.nan
        posterior, _ = fit_posterior(
            train,
            table.weight,
            n_components=recipe.n_components,
            student=vendor,
            n_sweeps=recipe.n_sweeps,
        )
        mean, variance = posterior.predict(*posterior.place(train))
        off = np.abs(table.z - mean[:, :p]) / np.sqrt(variance[:, :p])
        ratios.append(off[hidden])
    return _thinned(np.sort(np.concatenate(ratios)))


def _thinned(ratios: Array) -> Array:
    """Return as many order statistics as quantiles need, of ascending ratios."""
    if len(ratios) <= _MOST_RATIOS:
        return ratios
    chosen = np.linspace(0, len(ratios) - 1, _MOST_RATIOS).round().astype(int)
    return np.asarray(ratios[chosen])

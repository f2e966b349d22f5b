"""A Bayesian factor model completes a sparse table of models and benchmarks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ..errors import (
    DegenerateError,
    FitError,
    UnknownNameError,
    check_choice,
    near_matches,
)
from ..space import Place
from ._variational import FactorPosterior, fit_posterior

__all__ = ["BayesianFactorModel", "Completion"]

Array = NDArray[np.float64]
Noise = Literal["student", "gaussian"]


@dataclass(frozen=True)
class Completion:
    """Every column of some rows, as a factor model expects it.

    Attributes
    ----------
    mean : (n, p)
        NaN for a row without any known cell.
    variance : (n, p)
        Predictive: noise, and what is unknown of place and loadings. Of Student noise it holds
        the square of the scale, so that 90% lie within 2.0, not 1.6, of its roots.

    See Also
    --------
    BayesianFactorModel : Makes one.
    complete_table : Fills a table of scores by the stored laws.

    """

    mean: Array
    variance: Array

    def __repr__(self) -> str:
        return f"Completion({self.mean.shape[0]} rows × {self.mean.shape[1]} columns)"


class BayesianFactorModel(
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc] # scikit-learn is untyped
    TransformerMixin,  # type: ignore[misc] # scikit-learn is untyped
    BaseEstimator,  # type: ignore[misc] # scikit-learn is untyped
):
    r"""Factor model of a sparse table, with uncertain loadings, by variational Bayes.

    Parameters
    ----------
    n_components : int, default 3
        Factors k; lowered to min(n_models − 1, n_benchmarks).
    noise : {"student", "gaussian"}, default "student"
        "student" has 5 degrees of freedom: cells far off count less. For scores that vendors
        report. "gaussian" is for scores of one protocol.
    n_sweeps : int, default 150
        Rounds over columns, hyperparameters, rows and noise. The fit ends after these, converged
        or not: on a table of many gaps, weak factors go on moving for hundreds of rounds.

    Attributes
    ----------
    components_ : (k, p) array
        Loadings in the columns' standardised units; the sum of the first row is positive, and the
        largest of each other.
    loading_deviation_ : (k, p) array
        Their posterior standard deviations.
    mean_, scale_ : (p,) array
        Centre and unit of each column.
    noise_variance_ : (p,) array
        In the columns' standardised units.
    n_components_ : int
    change_ : float
        By how much the last sweep moved any fitted cell, in units of its column.
    feature_names_in_ : (p,) array
        Columns, when fitted on a DataFrame.

    Raises
    ------
    DegenerateError
        A column is missing for every row, or a row has no cell.
    ValueError
        Fewer than two rows, or an infinite number; scikit-learn's own.

    Notes
    -----
    Column j is centred and divided by s_j, s_j² = ((n_j − 1) v_j + 4 v) / (n_j + 3) with its
    variance v_j and the median variance v. Then z_ij = w_j0 + w_j·x_i + e_ij with x_i ~ N(0, I),
    (w_j0, w_j) ~ N((0, m, 0, ...), diag(1/α)), and m, α and the noise of each column estimated.
    A predicted cell has variance 1/τ + w'Sₓw + x'S_w x + tr(S_w Sₓ).

    References
    ----------
    Bishop (1999), Variational principal components. ICANN.
    Ilin & Raiko (2010), Practical approaches to principal component analysis in the presence of
    missing values. JMLR 11.

    See Also
    --------
    score_to_z : Brings fractions to a scale on which this model fits them.
    CapabilitySpace : Maximum likelihood, for tables with few gaps.

    Examples
    --------
    >>> import pandas as pd
    >>> from capspace.fit import BayesianFactorModel, load_reference, score_to_z
    >>> scores = load_reference().scores("base")
    >>> z = pd.DataFrame(score_to_z(scores), scores.index, scores.columns)
    >>> model = BayesianFactorModel(noise="gaussian").fit(z)
    >>> model.complete(z[["MMLU", "GSM8K"]].iloc[:3])
    Completion(3 rows × 8 columns)

    """

    def __init__(
        self, *, n_components: int = 3, noise: Noise = "student", n_sweeps: int = 150
    ) -> None:
        self.n_components = n_components
        self.noise = noise
        self.n_sweeps = n_sweeps

    def fit(
        self, X: ArrayLike, y: object = None, *, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Fit to X (n, p), NaN where not measured.

        Parameters
        ----------
        X : (n, p) DataFrame or array
            Scores on a scale without ceiling; NaN where not measured.
        y : object
            Ignored.
        sample_weight : (n,) array, optional
            How much each row counts; variants of a model may share the weight of a single row.

        """
        check_choice(self.noise, get_args(Noise), "noise")
        if self.n_components < 1:
            raise FitError(f"n_components is {self.n_components}; it must be at least 1")
        if self.n_sweeps < 1:
            raise FitError(f"n_sweeps is {self.n_sweeps}; it must be at least 1")
        x = validate_data(
            self, X, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=2
        )
        weight = _weights(sample_weight, len(x))
        self._check_table(x, weight)
        n, p = x.shape
        self.n_components_ = min(self.n_components, n - 1, p)
        posterior, self.change_ = fit_posterior(
            x,
            weight,
            n_components=self.n_components_,
            student=self.noise == "student",
            n_sweeps=self.n_sweeps,
        )
        self.posterior_: FactorPosterior = posterior
        self.mean_, self.scale_ = posterior.centre, posterior.scale
        self.components_ = posterior.weight_mean[:, 1:].T
        deviation = np.sqrt(np.diagonal(posterior.weight_covariance, axis1=1, axis2=2))
        self.loading_deviation_ = deviation[:, 1:].T
        self.noise_variance_ = 1 / posterior.precision
        return self

    def transform(self, X: ArrayLike) -> Array:
        """Return the factors (n, k) of rows X (n, p); a row without any cell gets NaN."""
        check_is_fitted(self)
        x = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        return self._place(x)[0]

    def place(self, X: pd.DataFrame | ArrayLike) -> Place:
        """Place rows by any subset of the columns.

        Parameters
        ----------
        X : (n, q) DataFrame or (n, p) array
            A DataFrame may hold some of the columns, others are ignored.

        Raises
        ------
        UnknownNameError
            The DataFrame holds none of the columns.

        """
        check_is_fitted(self)
        return Place(*self._place(self._align(X)))

    def complete(self, X: pd.DataFrame | ArrayLike) -> Completion:
        """Return mean and variance of every column, given the known cells of rows X.

        Parameters
        ----------
        X : (n, q) DataFrame or (n, p) array
            A DataFrame may hold some of the columns, others are ignored.

        Raises
        ------
        UnknownNameError
            The DataFrame holds none of the columns.

        """
        check_is_fitted(self)
        return Completion(*self.posterior_.predict(*self._place(self._align(X))))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    @property
    def _n_features_out(self) -> int:
        return int(self.n_components_)

    def _place(self, x: Array) -> tuple[Array, Array]:
        mean, covariance = self.posterior_.place(x)
        nothing = np.isnan(x).all(axis=1)
        mean[nothing] = np.nan
        covariance[nothing] = np.nan
        return mean, covariance

    def _align(self, X: pd.DataFrame | ArrayLike) -> Array:
        names = getattr(self, "feature_names_in_", None)
        if isinstance(X, pd.DataFrame) and names is not None:
            if not set(X.columns) & set(names):
                given = ", ".join(map(str, X.columns)) or "no column"
                raise UnknownNameError(
                    f"none of {given} is a column of this model{near_matches(given, names)}; "
                    f"it has {', '.join(names)}"
                )
            return X.reindex(columns=names).to_numpy(dtype=float)
        x = np.asarray(X, dtype=float)
        if x.ndim != 2 or x.shape[1] != self.n_features_in_:
            raise FitError(
                f"X has shape {x.shape}, expected (n, {self.n_features_in_}); pass a DataFrame to "
                "give only some columns"
            )
        return x

    def _check_table(self, x: Array, weight: Array) -> None:
        known = ~np.isnan(x)
        if not known.any(axis=1).all():
            row = int((~known.any(axis=1)).argmax())
            raise DegenerateError(f"row {row + 1} has no cell at all; leave it out")
        blank = weight @ known <= 0
        if blank.any():
            names = getattr(self, "feature_names_in_", np.arange(x.shape[1]))
            raise DegenerateError(
                f"column {names[blank][0]} is missing for every row that counts; leave it out"
            )


def _weights(sample_weight: ArrayLike | None, n: int) -> Array:
    if sample_weight is None:
        return np.ones(n)
    weight = np.asarray(sample_weight, dtype=float)
    if weight.shape != (n,) or not np.isfinite(weight).all() or (weight < 0).any():
        raise FitError(f"sample_weight must be {n} finite numbers that are not negative")
    if not weight.any():
        raise FitError("sample_weight is zero for every row; leave it out to count all alike")
    return weight

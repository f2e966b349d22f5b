"""A capability space explains many benchmarks by few coordinates, with missing scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ..errors import (
    DegenerateError,
    FitError,
    TooFewModelsError,
    UnknownNameError,
    check_choice,
    check_count,
    near_matches,
)
from ..table.numbers import check_unique, float_array, float_frame
from ._factor import FactorModel, fit_factor_model
from ._imputation import Spaces, fit_spaces, orient
from ._place import Place

__all__ = ["CapabilitySpace", "space_of"]

Array = NDArray[np.float64]
Estimator = Literal["factor", "pca"]


class CapabilitySpace(
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc] # scikit-learn is untyped
    TransformerMixin,  # type: ignore[misc] # scikit-learn is untyped
    BaseEstimator,  # type: ignore[misc] # scikit-learn is untyped
):
    r"""Low-dimensional coordinates of models, from benchmark scores of which some are missing.

    Parameters
    ----------
    n_components : int, default 3
        Coordinates k; lowered to what the table can carry, min(n_models − 1, n_benchmarks).
    estimator : {"factor", "pca"}, default "factor"
        "factor": maximum-likelihood factor model of the observed cells; it recovers hidden scores
        better (see ``scripts/BENCHMARKS.md``). "pca": the study's, rank-1
        imputation of standardised scores followed by principal components of the raw scores.
    clip : (low, high) or None, default None
        Bounds of imputed scores ("pca" only).
    max_iter : int or None, default None
        Rounds of imputation or EM; None takes the estimator's own limit.
    tol : float, default 1e-8
        The rounds end where no missing cell moves by more, in standard deviations of its benchmark
        ("pca"), or where a round gains less than this share of the log-likelihood ("factor").

    Attributes
    ----------
    components_ : (k, p) array
        Loadings; rows are orthonormal. PC-1 rises with the benchmarks' sum, the others with their
        largest loading.
    explained_variance_ : (k,) array
    explained_variance_ratio_ : (k,) array
        Shares of the total variance of the scores.
    mean_ : (p,) array
    noise_variance_ : (p,) array
        Variance of each benchmark that the k coordinates leave unexplained.
    n_components_ : int
    n_iter_ : int
    feature_names_in_ : (p,) array
        Benchmarks, when fitted on a DataFrame.

    Raises
    ------
    DegenerateError
        A benchmark is missing for every model, or a model has no benchmark.
    TooFewModelsError
        Fewer than two models.
    NotConvergedError
        Imputation or EM did not end.

    Notes
    -----
    The coordinates of both estimators are in the scores' units, x ≈ mean + coordinates ·
    components. "factor" rotates its loadings W = U S Rᵀ to the principal axes: components Uᵀ,
    coordinates S Rᵀz with z the posterior mean, shrunk towards the training mean where little is
    known.

    References
    ----------
    Ruan, Maddison & Hashimoto (2024), arXiv 2405.10938, section 3.2.

    See Also
    --------
    ScalingLaw : A target as a function of the coordinates.
    TargetLaw : Space and law of a target of the reference.

    Examples
    --------
    >>> from capspace.fit import CapabilitySpace, load_reference
    >>> base = load_reference().scores("base")
    >>> space = CapabilitySpace(n_components=2).fit(base)
    >>> space.transform(base.iloc[:3]).shape
    (3, 2)
    >>> space.place(base[["MMLU", "GSM8K"]].iloc[:3])
    Place(3 models × 2 coordinates)

    """

    def __init__(
        self,
        *,
        n_components: int = 3,
        estimator: Estimator = "factor",
        clip: tuple[float, float] | None = None,
        max_iter: int | None = None,
        tol: float = 1e-8,
    ) -> None:
        self.n_components = n_components
        self.estimator = estimator
        self.clip = clip
        self.max_iter = max_iter
        self.tol = tol

    def fit(
        self,
        X: ArrayLike,
        y: object = None,
        *,
        stderr: ArrayLike | None = None,
    ) -> Self:
        """Fit to scores X (n, p), NaN where not measured.

        Parameters
        ----------
        X : (n, p) DataFrame or array
            Scores, NaN where not measured.
        y : object
            Ignored.
        stderr : (n, p), optional
            Standard error of each score ("factor" only); NaN counts as 0.

        """
        check_choice(self.estimator, get_args(Estimator), "estimator")
        check_count(self.n_components, "n_components")
        x = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan")
        self._check_table(x)
        n, p = x.shape
        self.n_components_ = min(self.n_components, n - 1, p)
        if self.estimator == "pca":
            if stderr is not None:
                raise FitError("stderr is used by estimator='factor'; leave it out with 'pca'")
            self._fit_pca(x)
        else:
            self._fit_factor(x, _variance_of(stderr, x))
        return self

    def transform(self, X: ArrayLike) -> Array:
        """Return coordinates (n, k) of scores X (n, p); a model without any score gets NaN."""
        check_is_fitted(self)
        x = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        return self._coordinates(x, np.zeros_like(x))[0]

    def inverse_transform(self, X: ArrayLike) -> Array:
        """Return the scores (n, p) that coordinates X (n, k) stand for."""
        check_is_fitted(self)
        return np.asarray(self.mean_ + np.asarray(X, dtype=float) @ self.components_)

    def place(self, X: pd.DataFrame | ArrayLike, *, stderr: ArrayLike | None = None) -> Place:
        """Place models by any subset of the space's benchmarks.

        Parameters
        ----------
        X : (n, q) DataFrame or (n, p) array
            Scores; a DataFrame may hold some of the space's benchmarks, others are ignored.
        stderr : same shape as X, optional
            Standard errors of the scores; NaN counts as 0.

        Raises
        ------
        UnknownNameError
            The DataFrame holds none of the space's benchmarks.
        FitError
            A cell is no number, a score is infinite, a standard error is infinite or negative, a
            benchmark stands there twice, or the shapes differ.

        """
        check_is_fitted(self)
        x = self._align(X)
        infinite = np.isinf(x)
        if infinite.any():
            row, column = np.argwhere(infinite)[0]
            name = getattr(self, "feature_names_in_", np.arange(x.shape[1]))[column]
            raise FitError(f"row {row + 1}: {name!s} is infinite; leave it out or measure it again")
        variance = np.zeros_like(x) if stderr is None else _variance_of(self._align(stderr), x)
        mean, covariance = self._coordinates(x, variance)
        return Place(mean, covariance)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    @property
    def _n_features_out(self) -> int:
        return int(self.n_components_)

    def _fit_pca(self, x: Array) -> None:
        spaces = fit_spaces(
            x, np.ones((1, len(x))), clip=self.clip, max_iter=self.max_iter or 5000, tol=self.tol
        )
        self._take(spaces)

    def _take(self, spaces: Spaces) -> None:
        k = self.n_components_
        self._model: Spaces | FactorModel = spaces
        self.mean_ = spaces.mean[0]
        self.components_ = spaces.components[0, :k]
        self.explained_variance_ = spaces.variance[0, :k]
        total = spaces.variance[0].sum()
        if total <= 0:
            raise DegenerateError("no benchmark varies between the models")
        self.explained_variance_ratio_ = self.explained_variance_ / total
        rest = spaces.components[0, k:]
        self.noise_variance_ = spaces.variance[0, k:] @ rest**2
        self._covariance = (spaces.components[0].T * spaces.variance[0]) @ spaces.components[0]
        self.n_iter_ = spaces.n_iter

    def _fit_factor(self, x: Array, known: Array) -> None:
        model = fit_factor_model(
            x, known, self.n_components_, max_iter=self.max_iter or 20000, tol=self.tol
        )
        axes, size, rotation = np.linalg.svd(model.loadings, full_matrices=False)
        components = orient(axes.T)
        sign = np.sign(np.einsum("kp,pk->k", components, axes))
        self._model = model
        self._rotation = (sign * size)[:, None] * rotation
        self.mean_ = model.mean
        self.components_ = components
        self.explained_variance_ = size**2
        self.noise_variance_ = model.noise_variance
        self.explained_variance_ratio_ = size**2 / ((size**2).sum() + model.noise_variance.sum())
        self.n_iter_ = model.n_iter

    def _coordinates(self, x: Array, known: Array) -> tuple[Array, Array]:
        if isinstance(self._model, FactorModel):
            mean, covariance = self._model.posterior(x, known)
            mean = mean @ self._rotation.T
            covariance = self._rotation @ covariance @ self._rotation.T
        else:
            filled = self._model.fill(x)[0]
            mean = (filled - self.mean_) @ self.components_.T
            error = self._imputation_error(x) + known[:, :, None] * np.eye(x.shape[1])
            covariance = self.components_ @ error @ self.components_.T
        nothing = np.isnan(x).all(axis=1)
        mean[nothing] = np.nan
        covariance[nothing] = np.nan
        return mean, covariance

    def _imputation_error(self, x: Array) -> Array:
        """Return the covariance (n, p, p) of imputation errors under the training covariance."""
        assert isinstance(self._model, Spaces)  # noqa: S101 - narrows the type for mypy
        axis = self._model.z_axis[0] * self._model.spread[0]
        scale = self._model.spread[0]
        out = np.zeros((len(x), x.shape[1], x.shape[1]))
        patterns, rows = np.unique(np.isnan(x), axis=0, return_inverse=True)
        for i, missing in enumerate(patterns):
            if not missing.any() or missing.all():
                continue
            seen = ~missing
            direction = self._model.z_axis[0][seen]
            map_back = np.zeros((x.shape[1], x.shape[1]))
            map_back[np.ix_(missing, missing)] = np.eye(int(missing.sum()))
            pull = direction / scale[seen] / max(float(direction @ direction), 1e-12)
            map_back[np.ix_(missing, seen)] = -np.outer(axis[missing], pull)
            out[rows == i] = map_back @ self._covariance @ map_back.T
        return out

    def _align(self, X: pd.DataFrame | ArrayLike) -> Array:
        names = getattr(self, "feature_names_in_", None)
        if isinstance(X, pd.DataFrame) and names is not None:
            known = X.loc[:, X.columns.isin(names)]
            if not len(known.columns):
                given = ", ".join(map(str, X.columns)) or "no column"
                raise UnknownNameError(
                    f"none of {given} is a benchmark of this space{near_matches(given, names)}; "
                    f"it has {', '.join(names)}"
                )
            check_unique(known.columns, "columns")
            return float_frame(known).reindex(columns=names).to_numpy()
        x = float_array(X)
        if x.shape[1] != self.n_features_in_:
            raise FitError(
                f"X has shape {x.shape}, expected (n, {self.n_features_in_}); pass a DataFrame to "
                "give only some benchmarks"
            )
        return x

    def _check_table(self, x: Array) -> None:
        if len(x) < 2:
            raise TooFewModelsError(f"n_samples = {len(x)}: a space needs at least two models")
        empty = np.isnan(x).all(axis=1)
        if empty.any():
            raise DegenerateError(
                f"row {int(empty.argmax()) + 1} has no benchmark at all; leave the model out"
            )
        blank = np.isnan(x).all(axis=0)
        if blank.any():
            names = getattr(self, "feature_names_in_", np.arange(x.shape[1]))
            raise DegenerateError(
                f"benchmark {names[blank][0]} is missing for every training model; "
                "drop it from the space"
            )


def space_of(spaces: Spaces, names: Sequence[str], *, n_components: int) -> CapabilitySpace:
    """Return the space that was fitted together with a law, as an estimator.

    Parameters
    ----------
    spaces : Spaces
        Of one weighting.
    names : sequence of p str
        Its benchmarks.
    n_components : int
        Coordinates of the law.

    """
    space = CapabilitySpace(n_components=n_components, estimator="pca", clip=spaces.clip)
    space.n_features_in_ = len(names)
    space.feature_names_in_ = np.asarray(names, dtype=object)
    space.n_components_ = min(n_components, len(names))
    space._take(spaces)
    return space


def _variance_of(stderr: ArrayLike | None, x: Array) -> Array:
    if stderr is None:
        return np.zeros_like(x)
    errors = float_array(stderr)
    if errors.shape != x.shape:
        raise FitError(f"stderr has shape {errors.shape}, the scores {x.shape}")
    if (errors < 0).any() or np.isinf(errors).any():
        raise FitError("stderr must be finite and not negative")
    return np.asarray(np.nan_to_num(errors) ** 2)

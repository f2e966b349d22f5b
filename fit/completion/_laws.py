"""Two laws of a target: a line on its best single benchmark, and a Gaussian process on places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ..errors import DegenerateError
from ._gaussian_process import FittedProcess, fit_process
from ._single import fit_lines

__all__ = ["BestSingleBenchmark", "Expected", "GaussianProcessLaw"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Expected:
    """What a law expects of n models.

    Attributes
    ----------
    mean : (n,)
    deviation : (n,)
        Standard deviation of a new score.

    See Also
    --------
    GaussianProcessLaw, BestSingleBenchmark : Return it from ``predict``.

    """

    mean: Array
    deviation: Array

    def __repr__(self) -> str:
        return f"Expected({len(self.mean)} scores)"


class BestSingleBenchmark(
    RegressorMixin,  # type: ignore[misc] # scikit-learn is untyped
    BaseEstimator,  # type: ignore[misc] # scikit-learn is untyped
):
    r"""Ridge on the one benchmark that goes best with the target, of those that a model has.

    Attributes
    ----------
    correlation_ : (p,) array
        Of each benchmark with the target; NaN where it is not used: fewer than six models have
        both, or it does not rise with the target.
    n_features_in_ : int
    feature_names_in_ : (p,) array
        Benchmarks, when fitted on a DataFrame.

    Notes
    -----
    Each benchmark is standardised over the models that have it and the target, and gets a ridge
    line with λ = 0.5. The deviation of a prediction is the root mean square of the line's
    leave-one-out residuals. A model without any usable benchmark gets the mean of the target, with
    the standard deviation of the target.

    See Also
    --------
    BlendedPredictor : Uses such lines as a view beside a factor model.

    Examples
    --------
    >>> from capspace.fit import BestSingleBenchmark, load_reference
    >>> scores = load_reference().scores("base")
    >>> cheap = scores[["ARC-C", "HellaSwag"]]
    >>> law = BestSingleBenchmark().fit(cheap, scores["MMLU"].fillna(scores["MMLU"].mean()))
    >>> law.expect(cheap.iloc[:2])
    Expected(2 scores)

    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to scores X (n, p), NaN where not measured, and a target y (n,)."""
        x, target = validate_data(
            self, X, y, dtype=np.float64, ensure_all_finite="allow-nan", y_numeric=True
        )
        target = np.asarray(target, dtype=float)
        self.lines_ = fit_lines(x, target[:, None])
        self.correlation_ = self.lines_.correlation[0]
        self.target_mean_ = float(target.mean())
        self.target_deviation_ = float(target.std())
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Return the expected target (n,) of scores X (n, p)."""
        return self.expect(X).mean

    def expect(self, X: ArrayLike) -> Expected:
        """Return mean and standard deviation of the target for scores X (n, p)."""
        check_is_fitted(self)
        x = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        mean, deviation = self.lines_.predict(x)
        nothing = np.isnan(mean[:, 0])
        return Expected(
            np.where(nothing, self.target_mean_, mean[:, 0]),
            np.where(nothing, self.target_deviation_, deviation[:, 0]),
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class GaussianProcessLaw(
    RegressorMixin,  # type: ignore[misc] # scikit-learn is untyped
    BaseEstimator,  # type: ignore[misc] # scikit-learn is untyped
):
    r"""Target as a Gaussian process over places: a straight line with local bends.

    Attributes
    ----------
    kernel_ : tuple of four floats
        Linear weight l, local weight r, length ℓ and noise s.
    log_likelihood_ : float
        Marginal, of the targets.
    n_features_in_ : int

    Raises
    ------
    DegenerateError
        The target does not vary.

    Notes
    -----
    The target is standardised, its covariance 1 + l x·x' + r exp(−|x − x'|² / 2ℓ²), with noise s
    on the diagonal. l is 0.5 or 1.5, r 0, 0.1 or 0.5, ℓ 0.7 or 1.5 and s 0.1, 0.25 or 0.5: those
    of the largest marginal likelihood.

    References
    ----------
    Rasmussen & Williams (2006), Gaussian Processes for Machine Learning, chapters 2 and 5.

    See Also
    --------
    BayesianFactorModel : Gives the places.
    ScalingLaw : A sigmoid of a linear predictor.

    Examples
    --------
    >>> import numpy as np
    >>> from capspace.fit import GaussianProcessLaw
    >>> places = np.random.default_rng(0).normal(size=(40, 2))
    >>> law = GaussianProcessLaw().fit(places, places[:, 0])
    >>> law.expect(places[:3])
    Expected(3 scores)

    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to places X (n, k) and a target y (n,)."""
        x, target = validate_data(
            self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2
        )
        target = np.asarray(target, dtype=float)
        if not target.std() > 0:
            raise DegenerateError("the target is the same for every model; there is nothing to fit")
        self.process_: FittedProcess = fit_process(x, target)
        self.kernel_ = self.process_.kernel
        self.log_likelihood_ = self.process_.log_likelihood
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Return the expected target (n,) at places X (n, k)."""
        return self.expect(X).mean

    def expect(self, X: ArrayLike) -> Expected:
        """Return mean and standard deviation of the target at places X (n, k)."""
        check_is_fitted(self)
        x = validate_data(self, X, dtype=np.float64, reset=False)
        return Expected(self.process_.mean(x), self.process_.deviation(x))

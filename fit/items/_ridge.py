"""A full score is estimated by a weighted mean of some items, corrected by ridge regression."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from ..errors import FitError, TooFewModelsError

__all__ = ["RidgeFromMean"]

Floats = NDArray[np.float64]
PENALTIES = np.logspace(0, 4, 17)
"""Below 1 the corrections of single items are larger than what an item is worth, about 1/n."""


class RidgeFromMean(RegressorMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn is untyped
    """Ridge regression of the full score on items, towards their weighted mean and not towards 0.

    With a large penalty it is the weighted mean plus a constant; the penalty is that of the least
    leave-one-out error.

    Parameters
    ----------
    weights : array (n_items,), optional
        Of the mean, adding up to 1; by default each item counts alike.
    penalties : array, optional
        What the penalty is chosen from, in squared answers; by default from 1 to 10,000.

    Attributes
    ----------
    coef_ : array (n_items,)
        By which answers are multiplied, the mean's weights included.
    intercept_ : float
        What is added.
    penalty_ : float
        The one that was chosen.

    Raises
    ------
    TooFewModelsError
        Fewer than three models.

    See Also
    --------
    ShortForm : An estimate that this regression makes.
    shorten : Fits it to the items it chooses.

    Notes
    -----
    With m the weights of the mean, X the answers and y the full scores, δ minimises
    |y - X m - c - X δ|² + λ |δ|², and the coefficients are m + δ. Where the full score lies beyond
    those of all training models the mean still moves with it, which a plain ridge would shrink.

    Examples
    --------
    >>> import numpy as np
    >>> answers = np.eye(4)[[0, 1, 2, 3, 0, 1]]
    >>> estimator = RidgeFromMean().fit(answers, [0.2, 0.2, 0.3, 0.3, 0.2, 0.2])
    >>> bool(estimator.coef_[2] > estimator.coef_[0])
    True

    """

    def __init__(
        self, *, weights: ArrayLike | None = None, penalties: ArrayLike | None = None
    ) -> None:
        self.weights = weights
        self.penalties = penalties

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to answers (n_models, n_items) and full scores (n_models,)."""
        answers, scores = np.asarray(X, float), np.asarray(y, float)
        if answers.ndim != 2 or scores.shape != (len(answers),):
            raise FitError(f"{answers.shape} answers need as many full scores, got {scores.shape}")
        n_models, n_items = answers.shape
        if n_models < 3:
            raise TooFewModelsError(f"{n_models} models are too few for a regression; give three")
        mean = np.full(n_items, 1 / n_items) if self.weights is None else np.asarray(self.weights)
        left = scores - answers @ mean
        centre = answers.mean(axis=0)
        u, s, vt = np.linalg.svd(answers - centre, full_matrices=False)
        along = u.T @ (left - left.mean())
        penalties = np.asarray(PENALTIES if self.penalties is None else self.penalties, float)
        errors = []
        for penalty in penalties:
            shrunk = s**2 / (s**2 + penalty)
            residual = left - left.mean() - u @ (shrunk * along)
            leverage = np.minimum((u**2) @ shrunk + 1 / n_models, 0.999)
            errors.append(np.mean((residual / (1 - leverage)) ** 2))
        self.penalty_ = float(penalties[int(np.argmin(errors))])
        delta = vt.T @ (s / (s**2 + self.penalty_) * along)
        self.coef_ = mean + delta
        self.intercept_ = float(left.mean() - centre @ delta)
        self.n_features_in_ = n_items
        return self

    def predict(self, X: ArrayLike) -> Floats:
        """Return full scores (n_models,), within 0 and 1."""
        check_is_fitted(self)
        return np.asarray(np.clip(np.asarray(X, float) @ self.coef_ + self.intercept_, 0.0, 1.0))

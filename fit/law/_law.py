"""The scaling law makes a target score a sigmoid of a linear map of capabilities."""

from __future__ import annotations

import warnings
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ..errors import (
    DegenerateError,
    FitError,
    TooFewModelsError,
    check_choice,
    check_positive,
)
from ._form import EXP_CAP, Form, Level, LinkName, link_function
from ._multistart import Best, fit_best
from ._refit import Fitted

__all__ = ["Form", "LinkName", "Loss", "ScalingLaw", "link_function"]

Array = NDArray[np.float64]
Loss = Literal["squared", "huber"]


class ScalingLaw(RegressorMixin, BaseEstimator):  # type: ignore[misc] # sklearn is untyped
    r"""Predict a score from capabilities: y = f + (c − f)·σ(β₀ + βᵀx).

    Parameters
    ----------
    link : {"sigmoid", "sigmoid-floor", "linear", "exp"}, default "sigmoid"
        "sigmoid-floor" also fits the floor, within 0 to 0.2 of the way from ``floor`` to
        ``ceiling`` (the study's form for agents and post-training). "linear" is β₀ + βᵀx and "exp"
        is exp(β₀ + βᵀx), both without floor and ceiling.
    loss : {"squared", "huber"}, default "squared"
        "huber" with ``delta`` ≥ 1 equals "squared" for scores in [0, 1].
    delta : float, default 1.0
        Residual, in units of y, from which "huber" grows linearly.
    floor, ceiling : float or (low, high), default 0.0 and 1.0
        Asymptotes f and c in units of y: a number fixes one, a pair fits it within these bounds.
    n_starts : int, default 300
        Starting points; the fit with the lowest loss wins.
    max_iter : int, default 400
        Steps of each start at most.
    tol : float, default 1e-9
        A start ends where the cosine between the residuals and every column of the Jacobian is
        below this.
    random_state : int, default 0
        Seed of the random starting points.

    Attributes
    ----------
    coef_ : (k,) array
        β, in logits per unit of capability ("linear": units of y).
    intercept_ : float
    floor_, ceiling_ : float
        Fitted or given asymptotes; NaN for "linear" and "exp".
    covariance_ : (q, q) array
        Of (β₀, β, fitted floor, fitted ceiling), σ̂²(JᵀWJ)⁻¹; NaN where the data do not determine
        it (as many parameters as models, or a parameter at its bound).
    loss_ : float
        Weighted sum of ρ(residual) at the solution.
    converged_ : bool
        True; a fit that does not converge raises.
    n_iter_ : int

    Raises
    ------
    FitError
        A parameter that is none of its choices, or no such number.
    TooFewModelsError
        Fewer models (of nonzero weight) than parameters.
    DegenerateError
        The target does not vary.
    NotConvergedError
        No start reached a stationary point.

    References
    ----------
    Ruan, Maddison & Hashimoto (2024), Observational Scaling Laws, arXiv 2405.10938, section 3.3.

    See Also
    --------
    CapabilitySpace : Gives the capabilities.
    TargetLaw : Space and law of a target of the reference, with intervals.

    Examples
    --------
    >>> import numpy as np
    >>> from capspace.fit import ScalingLaw
    >>> x = np.linspace(-2, 2, 20)[:, None]
    >>> law = ScalingLaw().fit(x, 1 / (1 + np.exp(-(0.5 + 2 * x[:, 0]))))
    >>> law.coef_.round(3), round(law.intercept_, 3)
    (array([2.]), 0.5)

    """

    def __init__(
        self,
        *,
        link: LinkName = "sigmoid",
        loss: Loss = "squared",
        delta: float = 1.0,
        floor: Level = 0.0,
        ceiling: Level = 1.0,
        n_starts: int = 300,
        max_iter: int = 400,
        tol: float = 1e-9,
        random_state: int = 0,
    ) -> None:
        self.link = link
        self.loss = loss
        self.delta = delta
        self.floor = floor
        self.ceiling = ceiling
        self.n_starts = n_starts
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit to the capabilities and scores of models.

        Parameters
        ----------
        X : (n, k) array
            Capabilities.
        y : (n,) array
            Scores.
        sample_weight : (n,) array, optional
            Weight of each model, 1 by default; a model of weight 0 is left out.

        """
        x, target = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        weight = _weights(1.0 if sample_weight is None else sample_weight, len(x))
        form = self._form()
        delta = self.delta if self.loss == "huber" else np.inf
        check_positive(delta, "delta")
        used = weight > 0
        n_parameters = x.shape[1] + 1 + form.n_free
        if used.sum() < n_parameters:
            raise TooFewModelsError(
                f"n_samples = {used.sum()}: too few models for the {n_parameters} parameters of "
                f"this law; use at most {max(int(used.sum()) - 1 - form.n_free, 0)} components, or "
                "add models"
            )
        _check_varies(target[used])
        x, target, weight = x[used], target[used], weight[used]
        best = fit_best(
            x,
            target,
            weight,
            form,
            delta=delta,
            n_starts=self.n_starts,
            random_state=self.random_state,
            max_iter=self.max_iter,
            tol=self.tol,
        )
        return self._settle(x, target, weight, best)

    def fit_weighted(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike) -> Self:
        """Fit with weights: the former name of ``fit(X, y, sample_weight=...)``."""
        warnings.warn(
            "ScalingLaw.fit_weighted is now ScalingLaw.fit(X, y, sample_weight=...)",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.fit(X, y, sample_weight=sample_weight)

    @classmethod
    def of(cls, fitted: Fitted) -> Self:
        """Return the law of a joint fit of space and law, on that space's coordinates."""
        training = fitted.training
        form, delta = training.settings.form, training.settings.delta
        law = cls(
            link=form.name,
            floor=form.bounds[0] if form.free[0] else form.bounds[0][0],
            ceiling=form.bounds[1] if form.free[1] else form.bounds[1][0],
            loss="squared" if np.isinf(delta) else "huber",
            delta=delta if np.isfinite(delta) else 1.0,
            n_starts=training.settings.n_starts,
            random_state=training.settings.random_state,
        )
        x = fitted.capabilities
        law.n_features_in_ = x.shape[1]
        return law._settle(x, training.target, np.ones(len(x)), fitted.best)

    def _settle(self, x: Array, target: Array, weight: Array, best: Best) -> Self:
        k = x.shape[1]
        form = self._form()
        self.intercept_ = float(best.theta[0])
        self.coef_ = best.theta[1 : k + 1]
        self.floor_, self.ceiling_ = (
            float(v) for v in form.levels(best.theta[None, k + 1 :])[:, 0]
        )
        self.loss_ = best.loss
        self.n_iter_ = best.n_iter
        self.converged_ = True
        self.covariance_ = _covariance(x, target, weight, best.theta, form)
        return self

    def linear_predictor(self, X: ArrayLike) -> Array:
        """Return C = β₀ + βᵀx for capabilities X (n, k), as (n,)."""
        check_is_fitted(self)
        x = validate_data(self, X, dtype=np.float64, reset=False)
        return np.asarray(self.intercept_ + x @ self.coef_)

    def predict(self, X: ArrayLike) -> Array:
        """Return predicted scores (n,) at capabilities X (n, k)."""
        return self.curve(self.linear_predictor(X))

    def curve(self, linear_predictor: ArrayLike) -> Array:
        """Return the score at values of the linear predictor C, any shape."""
        check_is_fitted(self)
        c = np.asarray(linear_predictor, dtype=float)
        if self.link == "linear":
            return c
        if self.link == "exp":
            return np.asarray(np.exp(np.minimum(c, EXP_CAP)))
        return np.asarray(self.floor_ + (self.ceiling_ - self.floor_) * expit(c))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags

    def _form(self) -> Form:
        check_choice(self.loss, get_args(Loss), "loss")
        return Form(self.link, self.floor, self.ceiling)


def _covariance(x: Array, y: Array, weight: Array, theta: Array, form: Form) -> Array:
    q = len(theta)
    design = np.column_stack([np.ones(len(x)), x])
    m = design.shape[1]
    fitted, slope, _, by_level, _ = link_function(form)((design @ theta[:m])[None], theta[None, m:])
    jacobian = np.concatenate([slope[..., None] * design, by_level], axis=2)
    low, high = form.box(x.shape[1])
    inner = (theta > low) & (theta < high)
    out = np.full((q, q), np.nan)
    freedom = len(x) - int(inner.sum())
    if freedom <= 0:
        return out
    j = jacobian[0][:, inner]
    information = j.T @ (weight[:, None] * j)
    size = np.sqrt(np.diag(information))
    if (size <= 1e-100).any():
        return out
    unit = information / np.outer(size, size)
    if np.linalg.cond(unit) > 1e14:
        return out
    noise = float(weight @ (fitted[0] - y) ** 2) / freedom * len(x) / float(weight.sum())
    out[np.ix_(inner, inner)] = noise * np.linalg.inv(unit) / np.outer(size, size)
    return out


def _check_varies(y: Array) -> None:
    if np.ptp(y) <= 1e-12 * max(1.0, float(np.abs(y).max())):
        raise DegenerateError(
            f"the target is {y[0]:g} for every training model; a law needs scores that vary"
        )


def _weights(sample_weight: ArrayLike, n: int) -> Array:
    weight = np.asarray(sample_weight, dtype=float)
    if weight.ndim == 0:
        weight = np.full(n, float(weight))
    if weight.shape != (n,):
        raise FitError(f"sample_weight has shape {weight.shape}, expected ({n},)")
    if not np.isfinite(weight).all() or (weight < 0).any():
        raise FitError("sample_weight must be finite and not negative")
    if not weight.any():
        raise FitError("sample_weight is zero for every model; at least one must be non-zero")
    return weight

"""Two methods give prediction intervals: the two-view interval, and family jackknife+."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri
from sklearn.base import BaseEstimator

from .._display import counted, frame_html
from ..errors import check_count, check_level
from ._folds import Folds, leave_out_weights
from ._refit import Fitted, LawSettings, Training, predict_with, refit
from ._seeds import random_generator
from ._views import SCORE_NOISE, angle, from_angle, soft_logit, softened

__all__ = [
    "Interval",
    "IntervalMethod",
    "JackknifePlus",
    "LawSettings",
    "Training",
    "TwoView",
    "soft_logit",
]

Array = NDArray[np.float64]

_KAPPA_90 = 1.56


@dataclass(frozen=True)
class Interval:
    """Predicted scores with their bounds.

    Attributes
    ----------
    mean, lower, upper : (n,) arrays
        Fractions.
    level : float
        Nominal coverage of (lower, upper).

    See Also
    --------
    IntervalMethod : Makes one from a fitted law.
    Prediction : One score of one target, with the interval.

    Examples
    --------
    >>> import numpy as np
    >>> from capspace.fit import Interval
    >>> Interval(np.array([0.5]), np.array([0.4]), np.array([0.6]), level=0.9)
    Interval(1 score at 90%)

    """

    mean: Array
    lower: Array
    upper: Array
    level: float

    def __repr__(self) -> str:
        return f"Interval({counted(len(self.mean), 'score')} at {self.level:.0%})"

    def _repr_html_(self) -> str:
        return frame_html(self)

    def to_frame(self) -> pd.DataFrame:
        """Return a row per score: mean, lower, upper."""
        return pd.DataFrame({"mean": self.mean, "lower": self.lower, "upper": self.upper})


class IntervalMethod(Protocol):
    """How new models are predicted with an interval.

    A method of one's own that subclasses ``sklearn.base.BaseEstimator`` has ``get_params``, and
    can be cloned with the law that uses it.

    See Also
    --------
    Conformal, JackknifePlus, TwoView : The methods there are.
    Fitted : What a method is given; ``TargetLaw`` learns one as ``fitted_``.

    """

    @property
    def name(self) -> str:
        """How reports call it."""

    def predict(
        self, fitted: Fitted, new: Array, *, level: float = 0.9, spread: Array | None = None
    ) -> Interval:
        """Predict the target of new models by a fitted law.

        Parameters
        ----------
        fitted : Fitted
            Space and law.
        new : (m, p) array
            Benchmark scores of the new models, without gaps.
        level : float, default 0.9
            Nominal coverage.
        spread : (m, s, p) array, optional
            Plausible completions of each new model's scores, s of them; their disagreement widens
            the interval.

        """

    def leave_family_out(self, fitted: Fitted, *, level: float = 0.9) -> Interval:
        """Predict every training model from the others, its whole family left out."""


class TwoView(BaseEstimator):  # type: ignore[misc] # scikit-learn is untyped
    r"""The interval that also looks at the models through a second scale of their scores.

    Parameters
    ----------
    n_refits : int, default 40
        Refits of each view with random weights of the families.
    random_state : int, default 0
        Seed of these weights.

    See Also
    --------
    Conformal : Narrower, with a scale that is learned from the training models.
    JackknifePlus : Wider for few families, with a guarantee where families are exchangeable.

    Notes
    -----
    With g(p) = asin √p, p̂ the prediction from raw scores and z the normal quantile,

    .. math:: g^{-1}\left(g(\hat p) \pm 1.56\,\frac{z_{level}}{z_{0.9}}
              \sqrt{\tau^2 + s^2 + 0.003}\right)

    clipped to [0, 1]. τ² is the mean squared error, on the scale of g, of leave-one-family-out
    predictions of the training models, averaged over two views of the scores: as they are, and
    ``soft_logit``. s² is the mean squared deviation from p̂ of refits of both views' laws under
    exponential(1) weights per family. 0.003 is about what 80 items leave open on this scale. It
    widens where two equally plausible scales of the inputs disagree, which is extrapolation.
    Leaving a family out refits space and law.

    Examples
    --------
    >>> from capspace.fit import TargetLaw, TwoView, load_reference
    >>> law = TargetLaw("agentbench").fit(load_reference())
    >>> measured = law.scores_.dropna().to_numpy()[:1]
    >>> interval = TwoView(n_refits=4).predict(law.fitted_, measured, level=0.8)
    >>> bool(interval.lower[0] < interval.mean[0] < interval.upper[0])
    True

    """

    def __init__(self, *, n_refits: int = 40, random_state: int = 0) -> None:
        self.n_refits = n_refits
        self.random_state = random_state

    @property
    def name(self) -> str:
        """How reports call it."""
        return "two-view"

    def predict(
        self, fitted: Fitted, new: Array, *, level: float = 0.9, spread: Array | None = None
    ) -> Interval:
        """Predict the target of new models (m, p); see ``IntervalMethod``."""
        check_level(level)
        check_count(self.n_refits, "n_refits")
        training = fitted.training
        n = len(training.target)
        leave_out, family = leave_out_weights(training)
        rng = random_generator(self.random_state)
        truth = angle(training.target)
        errors, deviations = [], []
        mean = np.empty(len(new))
        centre = np.empty(len(new))
        for view in _views(fitted, new, spread):
            full = view.fitted
            draws = rng.exponential(size=(self.n_refits, leave_out.shape[0]))
            weights = np.concatenate([leave_out, draws[:, family]])
            everyone = np.vstack([full.training.scores, view.new])
            predicted = refit(full, weights, everyone)
            outside = predicted[family, np.arange(n)]
            errors.append(np.mean((angle(outside) - truth) ** 2))
            if view.first:
                mean = predict_with(full, view.new)
                centre = angle(mean)
            refits = angle(predicted[len(leave_out) :, n:])
            deviations.append(np.mean((refits - centre) ** 2, axis=0))
            if view.first and view.spread is not None:
                m, s, p = view.spread.shape
                completed = angle(predict_with(full, view.spread.reshape(m * s, p)))
                inputs = np.mean((completed.reshape(m, s) - centre[:, None]) ** 2, axis=1)
        variance = np.mean(errors) + np.mean(deviations, axis=0) + SCORE_NOISE
        if spread is not None:
            variance = variance + inputs
        return _two_view_interval(mean, variance, level)

    def leave_family_out(self, fitted: Fitted, *, level: float = 0.9) -> Interval:
        """Predict every training model from the others; the same as ``predict``, fold by fold.

        All folds are refitted side by side: leaving out families a and b serves both fold a and
        fold b.
        """
        check_level(level)
        check_count(self.n_refits, "n_refits")
        training = fitted.training
        n = len(training.target)
        folds = Folds(training)
        rng = random_generator(self.random_state)
        truth = angle(training.target)
        mean, centre = np.empty(n), np.empty(n)
        errors = np.zeros(folds.n)
        deviations = np.zeros(n)
        for view in _views(fitted, training.scores, None):
            draws = rng.exponential(size=(self.n_refits, folds.n - 1))
            weights = folds.random(draws)
            predicted = refit(view.fitted, np.concatenate([folds.weights, weights]), view.new)
            if view.first:
                mean = folds.without_own(predicted)
                centre = angle(mean)
            squares = (angle(folds.without_two(predicted)) - truth) ** 2 * folds.leave_out
            errors += 0.5 * squares.sum(axis=1) / folds.leave_out.sum(axis=1)
            refits = predicted[len(folds.weights) :].reshape(folds.n, self.n_refits, n)
            own = angle(refits[folds.family, :, np.arange(n)])
            deviations += 0.5 * np.mean((own - centre[:, None]) ** 2, axis=1)
        return _two_view_interval(mean, errors[folds.family] + deviations + SCORE_NOISE, level)


class JackknifePlus(BaseEstimator):  # type: ignore[misc] # scikit-learn is untyped
    """Leave-one-family-out jackknife+.

    See Also
    --------
    TwoView, Conformal : They cover extrapolations better.

    Notes
    -----
    With μ₋f the prediction without family f and Rᵢ the residual of model i under the fit without
    its own family, the bounds are the ⌊α(n + 1)⌋-th smallest of μ₋f(i)(x) − Rᵢ and the
    ⌈(1 − α)(n + 1)⌉-th smallest of μ₋f(i)(x) + Rᵢ. Its guarantee asks for exchangeable families;
    models stronger than all seen are not, and there it covers less than its level.

    References
    ----------
    Barber, Candès, Ramdas & Tibshirani (2021), Predictive inference with the jackknife+.

    Examples
    --------
    >>> from capspace.fit import JackknifePlus, TargetLaw, load_reference
    >>> law = TargetLaw("agentbench", method=JackknifePlus()).fit(load_reference())
    >>> JackknifePlus().leave_family_out(law.fitted_, level=0.8)
    Interval(22 scores at 80%)

    """

    @property
    def name(self) -> str:
        """How reports call it."""
        return "jackknife+"

    def predict(
        self, fitted: Fitted, new: Array, *, level: float = 0.9, spread: Array | None = None
    ) -> Interval:
        """Predict the target of new models (m, p); see ``IntervalMethod``."""
        check_level(level)
        training = fitted.training
        n = len(training.target)
        leave_out, family = leave_out_weights(training)
        predicted = refit(fitted, leave_out, np.vstack([training.scores, new]))
        residual = np.abs(predicted[family, np.arange(n)] - training.target)
        mean = predict_with(fitted, new)
        extra = np.zeros(len(new))
        if spread is not None:
            m, s, p = spread.shape
            each = predict_with(fitted, spread.reshape(m * s, p)).reshape(m, s)
            extra = np.abs(each - mean[:, None]).max(axis=1)
        lower, upper = _jackknife_plus(predicted[family, n:], residual, level)
        return Interval(
            mean, np.clip(lower - extra, 0.0, 1.0), np.clip(upper + extra, 0.0, 1.0), level
        )

    def leave_family_out(self, fitted: Fitted, *, level: float = 0.9) -> Interval:
        """Predict every training model from the others, its whole family left out."""
        check_level(level)
        training = fitted.training
        folds = Folds(training)
        predicted = refit(fitted, folds.weights, training.scores)
        mean = folds.without_own(predicted)
        residual = np.abs(folds.without_two(predicted) - training.target)
        lower, upper = np.empty_like(mean), np.empty_like(mean)
        for fold in range(folds.n):
            out = folds.family == fold
            without = predicted[folds.n + folds.pair[fold, folds.family[~out]]][:, out]
            lower[out], upper[out] = _jackknife_plus(without, residual[fold, ~out], level)
        return Interval(mean, np.clip(lower, 0.0, 1.0), np.clip(upper, 0.0, 1.0), level)


@dataclass(frozen=True)
class _View:
    fitted: Fitted
    new: Array
    spread: Array | None
    first: bool


def _views(fitted: Fitted, new: Array, spread: Array | None) -> tuple[_View, _View]:
    soft = soft_logit(new, fitted.training.chance)
    return (_View(fitted, new, spread, True), _View(softened(fitted), soft, None, False))


def _jackknife_plus(without: Array, residual: Array, level: float) -> tuple[Array, Array]:
    n = len(residual)
    alpha = 1 - level
    low = np.sort(without - residual[:, None], axis=0)
    high = np.sort(without + residual[:, None], axis=0)
    down, up = int(np.floor(alpha * (n + 1))), int(np.ceil((1 - alpha) * (n + 1)))
    endless = np.full(without.shape[1], np.inf)
    return (low[down - 1] if down >= 1 else -endless, high[up - 1] if up <= n else endless)


def _two_view_interval(mean: Array, variance: Array, level: float) -> Interval:
    half = _KAPPA_90 * ndtri(0.5 + level / 2) / ndtri(0.95) * np.sqrt(variance)
    centre = angle(mean)
    return Interval(mean, from_angle(centre - half), from_angle(centre + half), level)

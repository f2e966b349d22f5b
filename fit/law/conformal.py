"""Conformal intervals take their width from the errors on the training models."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from sklearn.base import BaseEstimator

from ..errors import DegenerateError, FitError, check_level
from ._calibration import (
    Errors,
    Refits,
    both_views,
    few_models,
    jackknife,
    scale_of,
    typical_size,
)
from ._folds import Folds
from ._gates import check_begun, check_learned
from ._refit import Fitted, predict_with
from ._views import SCORE_NOISE, angle, from_angle
from .intervals import Interval

__all__ = ["Conformal", "Joint", "conformal_scale", "joint_prediction", "relative_errors"]

Array = NDArray[np.float64]

_Z_90 = float(ndtri(0.95))


class Conformal(BaseEstimator):  # type: ignore[misc] # scikit-learn is untyped
    r"""The interval whose scale is learned from errors on the training models.

    Parameters
    ----------
    scale : float or None, default None
        Half-width of a 90% interval in expected errors; None learns it from the target's own
        training models. ``conformal_scale`` learns one from several targets of the same models,
        which is steadier.

    See Also
    --------
    conformal_scale : The scale of several targets together.
    TwoView : A fixed scale, wider where the law is accurate.

    Notes
    -----
    With g(p) = asin √p, the interval is g⁻¹(m ± k s z_level / z_0.9), clipped to [0, 1]. m is the
    mean prediction of the law in two views of the benchmark scores, as they are and softly
    logit-scaled, on the scale of g, and

    .. math:: s^2 = \left(\tau^2 + J + 0.003 + \tfrac14 (a - b)^2\right)(1 + 4/n)

    with τ the size of the errors of leave-one-family-out predictions of the n training models, J
    the jackknife variance of the prediction over families but the most influential one, both
    averaged over the two views, and a and b the views' predictions. The scale k is the .9 quantile
    of |g(y) − m| / s over the training models themselves, predicted in two ways that have half of
    the weight each: without their family, and without the latest models (the first 50, 60, ... 90%
    in training FLOPs predict the rest: those parts that are 25 models or more, and the 90%). Where
    the compute of most is unknown, capability takes its place. Nothing is learned from the models
    that are predicted.

    The scale is of the law's own errors. What missing and noisy scores of a new model leave open,
    with variance u² of the prediction, is known beside them: the half-width at 90% is then
    √(k² s² + z_0.9² u²).

    A target is refused where nothing could hold: models of fewer than two families score clearly
    above chance, or the law errs no less on families left out than the mean of the others does.

    References
    ----------
    Papadopoulos, Proedrou, Vovk & Gammerman (2002), Inductive confidence machines for regression.

    Examples
    --------
    >>> from capspace.fit import Conformal, TargetLaw, load_reference
    >>> law = TargetLaw("agentbench").fit(load_reference())
    >>> measured = law.scores_.dropna().to_numpy()[:1]
    >>> interval = Conformal().predict(law.fitted_, measured, level=0.8)
    >>> bool(interval.lower[0] < interval.mean[0] < interval.upper[0])
    True

    """

    def __init__(self, *, scale: float | None = None) -> None:
        self.scale = scale

    @property
    def name(self) -> str:
        """How reports call it."""
        return "conformal"

    def predict(
        self, fitted: Fitted, new: Array, *, level: float = 0.9, spread: Array | None = None
    ) -> Interval:
        """Predict the target of new models (m, p); see ``IntervalMethod``."""
        self._check(level)
        refits = _checked_refits(fitted, new, forward=self.scale is None)
        scale = _own_scale(refits) if self.scale is None else self.scale
        half = scale * np.sqrt(refits.covariance()[refits.n :, 0, 0])
        mean = predict_with(fitted, new)
        if spread is not None:
            half = np.hypot(half, _Z_90 * np.sqrt(_input_variance(fitted, mean, spread)))
        return _interval(mean, refits.centre()[refits.n :, 0], half, level)

    def leave_family_out(self, fitted: Fitted, *, level: float = 0.9) -> Interval:
        """Predict every training model from the others, its whole family left out.

        The scale of each family is learned from the errors of the others.
        """
        self._check(level)
        training = fitted.training
        folds = Folds(training)
        refits = _checked_refits(fitted, training.scores[:0], forward=self.scale is None)
        angles = both_views(fitted, folds.weights, training.scores, strict=True)[:, 1:]
        own = np.array([folds.without_own(view) for view in angles])
        outside = np.array([folds.without_two(view) for view in angles]) - angle(training.target)
        variance = SCORE_NOISE + (own[0] - own[1]) ** 2 / 4
        for fold in range(folds.n):
            out = folds.family == fold
            pairs = folds.n + np.delete(folds.pair[fold], fold)
            known = typical_size(outside[:, fold, ~out].reshape(-1)) ** 2
            unsure = jackknife(angles[None, :, pairs][..., out])[:, 0, 0]
            variance[out] = (variance[out] + known + unsure) * few_models(int((~out).sum()))
        half = self._scale_by_family(refits, folds) * np.sqrt(variance)
        return _interval(from_angle(own[0]), own.mean(axis=0), half, level)

    def _scale_by_family(self, refits: Refits, folds: Folds) -> Array:
        """Return the scale (n,) for each training model, learned from the other families."""
        if self.scale is not None:
            return np.full(len(folds.family), self.scale)
        groups = (refits.leave_family_out(), refits.forward())
        by_family = [
            scale_of(*(_relative(errors)[folds.family[errors.model] != fold] for errors in groups))
            for fold in range(folds.n)
        ]
        return np.array(by_family)[folds.family]

    def _check(self, level: float) -> None:
        check_level(level)
        if self.scale is not None and not 0 < self.scale < np.inf:
            raise FitError(f"scale is {self.scale}; it must be above 0")


def conformal_scale(laws: Iterable[Fitted]) -> float:
    """Learn the scale of conformal intervals from several targets together.

    Parameters
    ----------
    laws : iterable of Fitted
        A law per target, each fitted on training models only. A target that ``Conformal`` refuses
        has no part.

    Returns
    -------
    float
        The ``scale`` of ``Conformal``: half-width of a 90% interval in expected errors.

    Raises
    ------
    DegenerateError
        No target is left to learn from.

    See Also
    --------
    Conformal : The interval that has this scale.

    Examples
    --------
    >>> from capspace.fit import TargetLaw, conformal_scale, load_reference
    >>> reference = load_reference()
    >>> laws = [TargetLaw(name).fit(reference).fitted_ for name in ("bbh", "agentbench")]
    >>> 0.3 < conformal_scale(laws) < 3
    True

    """
    left_out, forward, refused = [], [], "no law is given"
    for fitted in laws:
        try:
            by_family, later = relative_errors(fitted)
        except DegenerateError as error:
            refused = str(error)
            continue
        left_out.append(by_family)
        forward.append(later)
    if not left_out:
        raise DegenerateError(f"no target is left to learn a scale from: {refused}")
    return scale_of(np.concatenate(left_out), np.concatenate(forward))


@dataclass(frozen=True)
class Joint:
    """Several models predicted together, on a scale where errors are about normal.

    Attributes
    ----------
    mean : (m,) predicted scores, fractions
    centre : (m,) the same on that scale
    deviation_covariance : (m, m) of the errors, such that 90% intervals are 1.645 deviations wide
        on either side

    """

    mean: Array
    centre: Array
    deviation_covariance: Array


def joint_prediction(
    fitted: Fitted,
    new: Array,
    families: NDArray[np.str_],
    *,
    scale: float | None = None,
    spread: Array | None = None,
) -> Joint:
    """Predict new models (m, p) of some families (m,) on the scale of asin √p.

    Raises
    ------
    DegenerateError
        ``Conformal`` refuses the target.

    """
    refits = _checked_refits(fitted, new, forward=scale is None)
    learned = _own_scale(refits) if scale is None else scale
    covariance = refits.joint_covariance(families) * (learned / _Z_90) ** 2
    mean = predict_with(fitted, new)
    if spread is not None:
        covariance = covariance + np.diag(_input_variance(fitted, mean, spread))
    return Joint(mean, refits.centre()[refits.n :, 0], covariance)


def relative_errors(fitted: Fitted) -> tuple[Array, Array]:
    """Return the errors on the training models in units of what was expected.

    Those of models predicted without their family, and of models predicted from earlier ones.

    Raises
    ------
    DegenerateError
        ``Conformal`` refuses the target.

    """
    refits = _checked_refits(fitted, fitted.training.scores[:0], forward=True)
    return _relative(refits.leave_family_out()), _relative(refits.forward())


def _checked_refits(fitted: Fitted, new: Array, *, forward: bool) -> Refits:
    check_begun(fitted)
    refits = Refits([fitted], new, forward=forward)
    training = fitted.training
    outside = from_angle(refits.leave_family_out().centre[:, 0])
    check_learned(outside, training.target, training.families)
    return refits


def _input_variance(fitted: Fitted, mean: Array, spread: Array) -> Array:
    """Return what completions (m, s, p) of the scores leave open about each prediction (m,)."""
    m, s, p = spread.shape
    completed = angle(predict_with(fitted, spread.reshape(m * s, p))).reshape(m, s)
    return np.asarray(np.mean((completed - angle(mean)[:, None]) ** 2, axis=1))


def _own_scale(refits: Refits) -> float:
    return scale_of(_relative(refits.leave_family_out()), _relative(refits.forward()))


def _relative(errors: Errors) -> Array:
    """Return the errors (r,) of one target in units of what was expected."""
    return np.asarray(np.abs(errors.residual[:, 0]) / np.sqrt(errors.covariance[:, 0, 0]))


def _interval(mean: Array, centre: Array, half_at_90: Array, level: float) -> Interval:
    half = half_at_90 * ndtri(0.5 + level / 2) / _Z_90
    lower, upper = from_angle(centre - half), from_angle(centre + half)
    return Interval(mean, np.minimum(lower, mean), np.maximum(upper, mean), level)

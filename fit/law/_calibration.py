"""A law's training models, predicted by refits without them, calibrate its intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import DegenerateError, NotConvergedError
from ._folds import leave_out_weights
from ._gates import has_begun, lowest
from ._refit import Fitted, predict_with, refit
from ._views import SCORE_NOISE, angle, soft_logit, softened

__all__ = [
    "Errors",
    "Refits",
    "both_views",
    "few_models",
    "jackknife",
    "scale_of",
    "typical_size",
]

Array = NDArray[np.float64]

_SHARES = (0.5, 0.6, 0.7, 0.8, 0.9)
_FEW_MODELS = 4.0
_ENOUGH_MODELS = 25
_MOSTLY_UNKNOWN = 0.5


@dataclass(frozen=True)
class Errors:
    """Errors of predictions whose truth is known, and what they were expected to be.

    Attributes
    ----------
    model : (r,) which training models they are
    centre : (r, t) their predicted angles on t targets
    residual : (r, t) true minus predicted angles
    covariance : (r, t, t) of the residuals, as the interval would have it

    """

    model: NDArray[np.intp]
    centre: Array
    residual: Array
    covariance: Array


@dataclass(frozen=True)
class _Origin:
    """Training models that refits are restricted to, and the rows of these refits.

    Attributes
    ----------
    basis : (n,) which models
    row : of the refit to all of them
    left_out : rows of the refits without each of their families
    outside : (n,) for each of these models, the row of the refit without its family

    """

    basis: NDArray[np.bool_]
    row: int
    left_out: NDArray[np.intp]
    outside: NDArray[np.intp]


class Refits:
    r"""Laws of the same models refitted without each family, and without the latest models.

    Everything is predicted in two views of the benchmark scores, as they are and softly
    logit-scaled, on the scale of ``angle``.

    Parameters
    ----------
    laws : sequence of t Fitted
        Of the same scores and families, each with its own target.
    new : (m, p) array
        Benchmark scores of the models to predict.
    forward : bool
        Whether to refit to the first models in ``Training.order`` only, too.

    Notes
    -----
    The error of a prediction from n models has the covariance

    .. math:: \Sigma = \left(T + J + 0.003\,R + \tfrac14 dd^T\right)(1 + 4/n).

    R is the correlation matrix of the leave-one-family-out errors of both views, T has their sizes,
    √(π/2) times the mean absolute error, J is the jackknife covariance of the prediction over
    families, and d the difference of the two views' predictions. Its centre is their mean.

    """

    def __init__(self, laws: Sequence[Fitted], new: Array, *, forward: bool) -> None:
        training = laws[0].training
        leave_out, family = leave_out_weights(training)
        self.n, self.family = len(family), family
        self.truth = np.array([angle(law.training.target) for law in laws])
        self.all = _origin(np.ones(self.n, dtype=bool), family, 0)
        self.origins: list[_Origin] = []
        weights = [leave_out]
        row = 1 + len(leave_out)
        for basis in _first_parts(laws[-1], leave_out, family) if forward else ():
            self.origins.append(_origin(basis, family, row))
            weights.append(
                np.vstack([np.ones(self.n), leave_out[np.unique(family[basis])]]) * basis
            )
            row += len(weights[-1])
        scores = np.vstack([training.scores, new])
        # (t, 2, B, n + m): targets, views, refits, models
        self.angles = np.array([both_views(law, np.concatenate(weights), scores) for law in laws])
        if np.isnan(self.angles[:, :, : 1 + len(leave_out)]).any():
            raise NotConvergedError(
                "a refit without one family did not converge; use fewer components"
            )

    def centre(self, row: int = 0) -> Array:
        """Return the predicted angles (n + m, t) of a refit; row 0 is the fit to all models."""
        return np.asarray(self.angles[:, :, row].mean(axis=1).T)

    def covariance(self, origin: _Origin | None = None) -> Array:
        """Return the covariance (n + m, t, t) of the errors of predictions from an origin."""
        origin = self.all if origin is None else origin
        every = np.arange(self.angles.shape[3])
        row = np.full(len(every), origin.row)
        return self._covariance(origin, self.angles[:, :, row, every], self._jackknife(origin))

    def joint_covariance(self, families: NDArray[np.str_]) -> Array:
        """Return the covariance (m, m) of the errors of the first target's new models.

        Parameters
        ----------
        families : (m,) array
            Of the new models; those of one family err alike as training models of one do.

        Notes
        -----
        What the models have in common beyond their families is the law: its jackknife deviations
        and the difference of the views.

        """
        new = slice(self.n, None)
        left_out = self.angles[:1, :, self.all.left_out, new]
        spread = trimmed(left_out)[0]
        law = np.einsum("vfm,vfk->mk", spread, spread) / 2
        apart = self.angles[0, 0, 0, new] - self.angles[0, 1, 0, new]
        outside = self._outside(self.all)[0]
        typical = typical_size(outside.reshape(-1)) ** 2
        alike = families[:, None] == families
        own = typical * np.where(alike, family_correlation(outside.mean(axis=0), self.family), 0.0)
        np.fill_diagonal(own, typical + SCORE_NOISE)
        return np.asarray((own + law + np.outer(apart, apart) / 4) * few_models(self.n))

    def leave_family_out(self) -> Errors:
        """Return the errors (n) of each training model predicted without its family."""
        every = np.arange(self.n)
        predicted = self.angles[:, :, self.all.outside, every]
        centre = predicted.mean(axis=1).T
        covariance = self._covariance(self.all, predicted, self._jackknife(self.all)[: self.n])
        return Errors(every, centre, self.truth.T - centre, covariance)

    def forward(self) -> Errors:
        """Return the errors of models predicted from those before them."""
        t = len(self.truth)
        none = np.empty((0, t))
        parts = [(np.empty(0, dtype=np.intp), none, none, np.empty((0, t, t)))]
        for origin in self.origins:
            if np.isnan(self.angles[:, :, [origin.row, *origin.left_out]]).any():
                continue  # a refit to these few did not converge
            later = np.flatnonzero(~origin.basis)
            centre = self.centre(origin.row)[later]
            covariance = self.covariance(origin)[later]
            parts.append((later, centre, self.truth.T[later] - centre, covariance))
        return Errors(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def _jackknife(self, origin: _Origin) -> Array:
        """Return the jackknife covariance (n + m, t, t) over families, averaged over the views."""
        return jackknife(self.angles[:, :, origin.left_out])

    def _covariance(self, origin: _Origin, predicted: Array, jackknife: Array) -> Array:
        """Return the covariance of predictions (t, 2, m) from an origin."""
        outside = self._outside(origin)
        product = np.einsum("avn,bvn->ab", outside, outside)
        size = np.sqrt(np.maximum(np.diag(product), 1e-300))
        correlation = product / np.outer(size, size)
        typical = typical_size(outside.reshape(len(outside), -1))
        known = correlation * (np.outer(typical, typical) + SCORE_NOISE)
        apart = predicted[:, 0] - predicted[:, 1]
        views = np.einsum("am,bm->mab", apart, apart) / 4
        return np.asarray((known + views + jackknife) * few_models(outside.shape[2]))

    def _outside(self, origin: _Origin) -> Array:
        """Return the errors (t, 2, n) of models predicted without their family, in both views."""
        basis = np.flatnonzero(origin.basis)
        predicted = self.angles[:, :, origin.outside[basis], basis]
        return np.asarray(predicted - self.truth[:, None, basis])


def typical_size(errors: Array) -> Array:
    """Return the standard deviation (...) of errors (..., n) by their mean size, were they normal.

    One family that the law does not describe moves it less than it does their mean square.
    """
    return np.asarray(np.sqrt(np.pi / 2) * np.abs(errors).mean(axis=-1))


def jackknife(left_out: Array) -> Array:
    """Return the covariance (m, t, t) of predictions (t, v, f, m), each without one of f families.

    It is averaged over the v views. For each model, the family that moves its prediction most is
    left out of the sum: one alone would set the width.
    """
    around = trimmed(left_out)
    return np.asarray(np.einsum("avfm,bvfm->mab", around, around) / left_out.shape[1])


def trimmed(left_out: Array) -> Array:
    """Return deviations (t, v, f, m) from their mean over f, the largest of each set to 0."""
    around = left_out - left_out.mean(axis=2, keepdims=True)
    most = np.sum(around**2, axis=0, keepdims=True).argmax(axis=2, keepdims=True)
    np.put_along_axis(around, np.broadcast_to(most, (len(around), *most.shape[1:])), 0.0, axis=2)
    return np.asarray(around)


def family_correlation(errors: Array, family: NDArray[np.intp]) -> float:
    """Return how errors (n,) of models of one family correlate; 0 where no family has two."""
    alike = family[:, None] == family
    np.fill_diagonal(alike, False)
    if not alike.any():
        return 0.0
    product = float(np.mean(np.outer(errors, errors)[alike]))
    return float(np.clip(product / max(float(np.mean(errors**2)), 1e-300), 0.0, 1.0))


def few_models(n: Array | int) -> Array:
    """Return the factor by which n training models understate the variance of an error."""
    return np.asarray(1 + _FEW_MODELS / np.asarray(n))


def scale_of(left_out: Array, forward: Array) -> float:
    """Return the .9 quantile of both groups of scores, half of the weight to each.

    A group without scores has no weight. As the scores are few, the quantile is taken at
    .9 (1 + 1/r), where r is how many scores of equal weight would say as much.

    Raises
    ------
    DegenerateError
        Neither group has any.

    """
    groups = [scores for scores in (left_out, forward) if len(scores)]
    if not groups:
        raise DegenerateError("no model left out of a fit was predicted, so no scale is learned")
    scores = np.concatenate(groups)
    weight = np.concatenate([np.full(len(s), 1 / len(s) / len(groups)) for s in groups])
    order = np.argsort(scores, kind="stable")
    share = np.cumsum(weight[order])
    at = 0.9 * (1 + np.sum(weight**2))
    return float(scores[order][min(int(np.searchsorted(share, at - 1e-12)), len(scores) - 1)])


def _first_parts(
    fitted: Fitted, leave_out: Array, family: NDArray[np.intp]
) -> list[NDArray[np.bool_]]:
    """Return the first models (n,) up to several cutoffs, where they determine a law."""
    training = fitted.training
    order, measured = training.order, ~np.isnan(training.scores)
    if order is None or np.isnan(order).mean() > _MOSTLY_UNKNOWN:
        order = fitted.capabilities[:, 0]
    parts = []
    for share in _SHARES:
        basis = lowest(order, share)
        weights = leave_out[np.unique(family[basis])] * basis
        if (
            (basis.sum() >= _ENOUGH_MODELS or share == _SHARES[-1])
            and len(weights) >= 2
            and weights.sum(axis=1).min() >= training.n_parameters
            and (weights @ measured > 0).all()
            and has_begun(training.part(basis))
        ):
            parts.append(basis)
    return parts


def _origin(basis: NDArray[np.bool_], family: NDArray[np.intp], row: int) -> _Origin:
    families, position = np.unique(np.where(basis, family, family[basis][0]), return_inverse=True)
    left_out = row + 1 + np.arange(len(families))
    return _Origin(basis, row, left_out, left_out[position])


def both_views(law: Fitted, weight: Array, scores: Array, *, strict: bool = False) -> Array:
    """Return the angles (2, 1 + B, n) of the law's own predictions and those of B refits."""
    soft = soft_logit(scores, law.training.chance)
    views = ((law, scores), (softened(law), soft))
    return np.array(
        [
            angle(np.vstack([predict_with(view, x), refit(view, weight, x, strict=strict)]))
            for view, x in views
        ]
    )

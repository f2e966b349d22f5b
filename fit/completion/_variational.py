"""Fit a factor model with missing cells by variational Bayes, and predict from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["FactorPosterior", "fit_posterior"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_DEGREES = 5.0
_BORROWED = 4.0
_PLACING_ROUNDS = 30


@dataclass(frozen=True)
class FactorPosterior:
    """What a fit has learned of p columns and k factors.

    Attributes
    ----------
    centre, scale : (p,)
        Of each column; the other attributes are in the units that they make.
    weight_mean : (p, k + 1)
        Intercept and loadings.
    weight_covariance : (p, k + 1, k + 1)
    precision : (p,)
        Of the noise.
    student : bool
        Whether the noise is Student's with 5 degrees of freedom, or Gaussian.

    """

    centre: Array
    scale: Array
    weight_mean: Array
    weight_covariance: Array
    precision: Array
    student: bool

    def place(self, z: Array) -> tuple[Array, Array]:
        """Return mean (n, k) and covariance (n, k, k) of the factors of rows z (n, p)."""
        y = (z - self.centre) / self.scale
        seen = ~np.isnan(y)
        y = np.where(seen, y, 0.0)
        moment = _second_moment(self.weight_mean, self.weight_covariance)
        trust = seen.astype(float)
        mean, covariance = _place(y, trust * self.precision, self.weight_mean, moment)
        if self.student:
            for _ in range(_PLACING_ROUNDS):
                square = _expected_square(y, mean, covariance, self.weight_mean, moment)
                trust = seen * _trust(self.precision * square)
                mean, covariance = _place(y, trust * self.precision, self.weight_mean, moment)
        return mean, covariance

    def predict(self, mean: Array, covariance: Array) -> tuple[Array, Array]:
        """Return mean and variance (n, p) of the columns of rows placed at mean and covariance."""
        design = _design(mean)
        w, s = self.weight_mean, self.weight_covariance
        n, k = mean.shape
        slope = w[:, 1:]
        outer = (slope[:, :, None] * slope[:, None] + s[:, 1:, 1:]).reshape(-1, k * k)
        spread = covariance.reshape(n, -1) @ outer.T
        second = (design[:, :, None] * design[:, None]).reshape(n, -1)
        spread += second @ s.reshape(len(s), -1).T
        variance = 1 / self.precision + spread
        return self.centre + self.scale * (design @ w.T), self.scale**2 * variance


def fit_posterior(
    z: Array, weight: Array, *, n_components: int, student: bool, n_sweeps: int
) -> tuple[FactorPosterior, float]:
    """Fit z (n, p), NaN where missing, with row weights (n,).

    Returns
    -------
    posterior : FactorPosterior
    change : float
        By how much the last sweep moved a fitted cell at most, in units of its column.

    """
    seen = ~np.isnan(z)
    y, centre, scale, count = _standardised(z, seen, weight)
    p, k = z.shape[1], n_components
    present = count > 0
    n_present = int(present.sum())
    x, size = _start(y, seen, weight, k)
    covariance = np.zeros((len(z), k, k))
    prior = np.zeros(k + 1)
    prior[1] = size
    alpha = np.ones(k + 1)
    precision = np.full(p, 2.0)
    noise = 0.5
    trust = seen * weight[:, None]
    pull = np.minimum(count, 10.0)
    fitted = np.zeros_like(y)
    change = np.inf
    for _ in range(n_sweeps):
        # Columns: intercept and loadings of each, a Bayesian regression on the factors.
        design = _design(x)
        second = design[:, :, None] * design[:, None]
        second[:, 1:, 1:] += covariance
        second = second.reshape(len(z), -1)
        left = (trust.T @ second) * precision[:, None]
        left = left.reshape(p, k + 1, k + 1) + np.diag(alpha)
        s = np.linalg.inv(left)
        right = precision[:, None] * ((trust * y).T @ design) + alpha * prior
        w = (s @ right[..., None])[..., 0]
        # Hyperparameters: where first loadings lie, and how far loadings spread.
        prior[1] = float(pull @ w[:, 1] / pull.sum())
        far = ((w - prior) ** 2 + np.diagonal(s, axis1=1, axis2=2))[present].sum(axis=0)
        base = np.r_[0.5, np.full(k, 0.25)]
        alpha = np.clip((1 + n_present / 2) / (base + 0.5 * far), 0.05, 1e4)
        # Rows: the factors of each model. A row's own weight does not move its place.
        moment = _second_moment(w, s)
        own = np.divide(trust, weight[:, None], out=np.zeros_like(trust), where=trust > 0)
        x, covariance = _place(y, own * precision, w, moment)
        # Noise of each column, and how far each cell is trusted.
        square = _expected_square(y, x, covariance, w, moment)
        lost = (trust * square).sum(axis=0)
        precision = (3 + count / 2) / (3 * noise + 0.5 * lost)
        noise = float(np.clip(np.exp(-np.log(precision[present]).mean()), 0.02, 0.8))
        if student:
            trust = seen * _trust(precision * square) * weight[:, None]
        before, fitted = fitted, design @ w.T
        change = float(np.abs(fitted - before).max(initial=0.0))
    sign = _signs(w[:, 1:])
    flip = np.r_[1.0, sign]
    return (
        FactorPosterior(centre, scale, w * flip, s * flip[:, None] * flip, precision, student),
        change,
    )


def _standardised(z: Array, seen: Mask, weight: Array) -> tuple[Array, Array, Array, Array]:
    """Return z in units of its columns (0 where missing), their centre, scale and weight."""
    trust = seen * weight[:, None]
    count = trust.sum(axis=0)
    filled = np.where(seen, z, 0.0)
    centre = (trust * filled).sum(axis=0) / np.where(count > 0, count, 1.0)
    around = np.where(seen, z - centre, 0.0)
    square = (trust * around**2).sum(axis=0)
    free = np.maximum(count - 1, 0.0)
    variance = np.divide(square, free, out=np.zeros_like(square), where=free > 0)
    typical = float(np.median(variance[variance > 0])) if (variance > 0).any() else 1.0
    scale = np.sqrt((square + _BORROWED * typical) / (free + _BORROWED))
    return around / scale, centre, scale, count


def _start(y: Array, seen: Mask, weight: Array, k: int) -> tuple[Array, float]:
    """Return first factors (n, k): the effect of each row, then axes of what it leaves."""
    effect = y.sum(axis=1) / (seen.sum(axis=1) + 1.0)
    total = weight.sum()
    size = max(float(np.sqrt((weight * effect**2).sum() / total)), 1e-3)
    rest = np.where(seen, y - effect[:, None], 0.0)
    axes = np.linalg.svd(np.sqrt(weight)[:, None] * rest, full_matrices=False)[2][: k - 1]
    along = rest @ axes.T
    spread = np.sqrt((weight[:, None] * along**2).sum(axis=0) / total)
    x = np.zeros((len(y), k))
    x[:, 0] = effect / size
    x[:, 1 : 1 + len(axes)] = along / np.maximum(spread, 1e-12)
    return x, size


def _signs(loadings: Array) -> Array:
    """Return +1 or -1 for each factor, so that its largest loading is positive, the first's sum."""
    largest = np.take_along_axis(loadings, np.abs(loadings).argmax(axis=0)[None], axis=0)[0]
    sign = np.where(largest < 0, -1.0, 1.0)
    sign[0] = -1.0 if loadings[:, 0].sum() < 0 else 1.0
    return sign


def _design(x: Array) -> Array:
    return np.column_stack([np.ones(len(x)), x])


def _second_moment(w: Array, s: Array) -> Array:
    return np.asarray(w[:, :, None] * w[:, None] + s)


def _place(y: Array, trust: Array, w: Array, moment: Array) -> tuple[Array, Array]:
    p, k = len(w), w.shape[1] - 1
    precision = (trust @ moment[:, 1:, 1:].reshape(p, k * k)).reshape(-1, k, k) + np.eye(k)
    right = (trust * y) @ w[:, 1:] - trust @ moment[:, 0, 1:]
    covariance: Array = np.linalg.inv(precision).astype(float, copy=False)
    return (covariance @ right[..., None])[..., 0], covariance


def _expected_square(y: Array, x: Array, covariance: Array, w: Array, moment: Array) -> Array:
    design = _design(x)
    second = design[:, :, None] * design[:, None]
    second[:, 1:, 1:] += covariance
    mean_square = second.reshape(len(x), -1) @ moment.reshape(len(w), -1).T
    return np.maximum(y**2 - 2 * y * (design @ w.T) + mean_square, 0.0)


def _trust(square: Array) -> Array:
    return (_DEGREES + 1) / (_DEGREES + square)

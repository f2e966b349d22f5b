"""A Gaussian process predicts a target from places, with a linear trend and local deviations."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

__all__ = ["FittedProcess", "fit_process"]

Array = NDArray[np.float64]

GRID = (
    *product((0.5, 1.5), (0.0,), (1.0,), (0.1, 0.25, 0.5)),
    *product((0.5, 1.5), (0.1, 0.5), (0.7, 1.5), (0.1, 0.25, 0.5)),
)
"""Linear weight l, local weight r, its length ℓ, noise s; without a local part ℓ is idle."""


@dataclass(frozen=True)
class FittedProcess:
    """A Gaussian process after its fit, ready to predict.

    Attributes
    ----------
    places : (n, k)
    dual : (n,)
        K⁻¹y.
    inverse : (n, n)
        K⁻¹.
    kernel : (l, r, ℓ, s)
    centre, scale : float
        Of the target.
    log_likelihood : float

    """

    places: Array
    dual: Array
    inverse: Array
    kernel: tuple[float, float, float, float]
    centre: float
    scale: float
    log_likelihood: float

    def mean(self, places: Array) -> Array:
        """Return the expected target (m,) at places (m, k)."""
        return self.centre + self.scale * (covariance(places, self.places, self.kernel) @ self.dual)

    def deviation(self, places: Array) -> Array:
        """Return the standard deviation (m,) of a new observation at places (m, k)."""
        linear, local, _, noise = self.kernel
        cross = covariance(places, self.places, self.kernel)
        own = 1 + linear * (places**2).sum(axis=1) + local + noise
        left = np.einsum("mi,ij,mj->m", cross, self.inverse, cross)
        return np.asarray(self.scale * np.sqrt(np.maximum(own - left, 0.0)))


def covariance(a: Array, b: Array, kernel: tuple[float, float, float, float]) -> Array:
    """Return the covariance (m, n) of the target at places a (m, k) and b (n, k), without noise."""
    linear, local, length, _ = kernel
    inner = a @ b.T
    if local == 0:
        return np.asarray(1 + linear * inner)
    square = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * inner
    near = np.exp(-np.maximum(square, 0.0) / (2 * length**2))
    return np.asarray(1 + linear * inner + local * near)


def fit_process(places: Array, y: Array) -> FittedProcess:
    """Fit to places (n, k) and a target (n,), the kernel by marginal likelihood over ``GRID``."""
    centre = float(y.mean())
    scale = float(y.std()) or 1.0
    target = (y - centre) / scale
    best = None
    for kernel in GRID:
        k = covariance(places, places, kernel) + kernel[3] * np.eye(len(y))
        root = np.linalg.cholesky(k)
        half = np.linalg.solve(root, target)
        likelihood = float(-0.5 * half @ half - np.log(np.diagonal(root)).sum())
        if best is None or likelihood > best[0]:
            best = likelihood, kernel, k
    assert best is not None  # noqa: S101 - the grid is not empty; narrows the type for mypy
    likelihood, kernel, k = best
    inverse: Array = np.linalg.inv(k).astype(float, copy=False)
    likelihood -= len(y) * (0.5 * np.log(2 * np.pi) + np.log(scale))
    return FittedProcess(places, inverse @ target, inverse, kernel, centre, scale, likelihood)

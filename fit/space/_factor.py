"""Fit the factor model of a score table by EM on its observed cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import DegenerateError, NotConvergedError

__all__ = ["FactorModel", "fit_factor_model"]

Array = NDArray[np.float64]

_NOISE_FLOOR = 1e-3


@dataclass(frozen=True)
class FactorModel:
    """x = μ + W z + s + e with z ~ N(0, I), s ~ N(0, diag ψ), e ~ N(0, known variance per cell).

    Attributes
    ----------
    mean : (p,)
    loadings : (p, k)
    noise_variance : (p,)
        ψ: what a benchmark has of its own, beyond the known measurement noise.
    log_likelihood : float
        Of the observed cells.
    n_iter : int

    """

    mean: Array
    loadings: Array
    noise_variance: Array
    log_likelihood: float
    n_iter: int

    def posterior(self, x: Array, known: Array) -> tuple[Array, Array]:
        """Return mean (n, k) and covariance (n, k, k) of z given the observed cells of x (n, p)."""
        weight = ~np.isnan(x) / (self.noise_variance + known)
        return _posterior(np.nan_to_num(x - self.mean), weight, self.loadings)


def fit_factor_model(
    x: Array,
    known: Array,
    n_components: int,
    *,
    max_iter: int = 20000,
    tol: float = 1e-8,
) -> FactorModel:
    r"""Fit a factor model to x (n, p), NaN where not measured, by maximum likelihood.

    Parameters
    ----------
    x : (n, p) array
        Scores, NaN where not measured.
    known : (n, p) array
        Variance of each cell's measurement noise, 0 where unknown.
    n_components : int
        Factors k.
    max_iter : int
        EM rounds at most.
    tol : float
        Relative gain of the log-likelihood, over three accelerated rounds, at which EM ends.

    Raises
    ------
    DegenerateError
        A benchmark is missing for every model, or does not vary.
    NotConvergedError
        EM still gains after ``max_iter`` rounds.

    Notes
    -----
    E-step: z given a model's observed cells is Gaussian with precision I + WᵀDW, D = diag
    1/(ψ + e). M-step: (μⱼ, wⱼ) by least squares weighted by 1/(ψⱼ + eᵢⱼ); then ψⱼ from the
    posterior second moment of s. ψ is kept above 10⁻³ of a benchmark's variance (Heywood cases).
    Each three rounds are extrapolated (SQUAREM), and taken back where that loses likelihood.

    References
    ----------
    Rubin & Thayer (1982), EM algorithms for ML factor analysis.
    Varadhan & Roland (2008), Simple and globally convergent methods for accelerating EM.

    """
    missing = np.isnan(x)
    if missing.all(axis=0).any():
        raise DegenerateError(
            f"benchmark {int(missing.all(axis=0).argmax())} is missing for every training model; "
            "drop it from the space"
        )
    variance = np.nanvar(x, axis=0)
    if not (variance > 0).any():
        raise DegenerateError("no benchmark varies between the models")
    spread = np.sqrt(np.where(variance > 0, variance, 1.0))
    centre = np.nanmean(x, axis=0)
    z = np.nan_to_num((x - centre) / spread)
    noise = known / spread**2
    seen = ~missing

    p = x.shape[1]
    theta = _start(z, seen, n_components)
    loglik = _log_likelihood(theta, z, seen, noise)
    n_iter, gain = 0, np.inf
    while n_iter < max_iter:
        n_iter += 3
        first = _em_round(theta, z, seen, noise)
        second = _em_round(first, z, seen, noise)
        step, bend = first - theta, second - first - (first - theta)
        size = float(np.linalg.norm(bend))
        ahead = second
        if size > 0:
            alpha = min(-1.0, -float(np.linalg.norm(step)) / size)
            jump = theta - 2 * alpha * step + alpha * alpha * bend
            ahead = _em_round(jump, z, seen, noise)
        gained = _log_likelihood(ahead, z, seen, noise)
        if not gained >= loglik:
            ahead = second
            gained = _log_likelihood(ahead, z, seen, noise)
        gain, theta, loglik = gained - loglik, ahead, gained
        if gain <= tol * max(1.0, abs(loglik)):
            break
    else:
        raise NotConvergedError(
            f"factor model: the likelihood still rises by {gain:.1e} after {max_iter} rounds; "
            "use fewer components"
        )
    mean, loadings, own = _unpack(theta, p)
    return FactorModel(
        centre + spread * mean,
        loadings * spread[:, None],
        own * spread**2,
        float(loglik - (seen * np.log(spread)).sum()),
        n_iter,
    )


def _start(z: Array, seen: NDArray[np.bool_], k: int) -> Array:
    p = z.shape[1]
    values, vectors = np.linalg.eigh(z.T @ z / np.maximum(seen.T.astype(float) @ seen, 1))
    order = np.argsort(values)[::-1][:k]
    own = np.maximum(np.sort(values)[: max(p - k, 1)].mean(), 0.05)
    loadings = vectors[:, order] * np.sqrt(np.maximum(values[order] - own, 0.01))
    return _pack(np.zeros(p), loadings, np.full(p, own))


def _pack(mean: Array, loadings: Array, own: Array) -> Array:
    return np.concatenate([mean, np.log(own), loadings.ravel()])


def _unpack(theta: Array, p: int) -> tuple[Array, Array, Array]:
    own = np.maximum(np.exp(np.clip(theta[p : 2 * p], -30, 30)), _NOISE_FLOOR)
    return theta[:p], theta[2 * p :].reshape(p, -1), own


def _posterior(around: Array, weight: Array, loadings: Array) -> tuple[Array, Array]:
    p, k = loadings.shape
    square = (loadings[:, :, None] * loadings[:, None]).reshape(p, k * k)
    precision = np.eye(k) + (weight @ square).reshape(-1, k, k)
    covariance = np.asarray(np.linalg.inv(precision), dtype=float)
    return (covariance @ ((weight * around) @ loadings)[..., None])[..., 0], covariance


def _em_round(theta: Array, z: Array, seen: NDArray[np.bool_], noise: Array) -> Array:
    p = z.shape[1]
    mean, loadings, own = _unpack(theta, p)
    k = loadings.shape[1]
    weight = seen / (own + noise)
    factor, covariance = _posterior(np.where(seen, z - mean, 0.0), weight, loadings)
    design = np.column_stack([np.ones(len(z)), factor])
    second = design[:, :, None] * design[:, None]
    second[:, 1:, 1:] += covariance
    left = (weight.T @ second.reshape(len(z), -1)).reshape(p, k + 1, k + 1)
    right = (weight * z).T @ design
    solved = np.linalg.solve(left + 1e-12 * np.eye(k + 1), right[..., None])[..., 0]
    mean, loadings = solved[:, 0], solved[:, 1:]
    residual = z - mean - factor @ loadings.T
    spare = np.einsum("ja,iab,jb->ij", loadings, covariance, loadings)
    keep = own / (own + noise)
    moment = keep**2 * (residual**2 + spare) + keep * noise
    own = np.maximum((moment * seen).sum(axis=0) / seen.sum(axis=0), _NOISE_FLOOR)
    return _pack(mean, loadings, own)


def _log_likelihood(theta: Array, z: Array, seen: NDArray[np.bool_], noise: Array) -> float:
    mean, loadings, own = _unpack(theta, z.shape[1])
    total = own + noise
    weight = seen / total
    around = np.where(seen, z - mean, 0.0)
    factor, covariance = _posterior(around, weight, loadings)
    fit = (weight * around) @ loadings
    quadratic = (weight * around**2).sum(axis=1) - (fit * factor).sum(axis=1)
    logdet = (seen * np.log(total)).sum(axis=1) - np.linalg.slogdet(covariance)[1]
    return float(-0.5 * (quadratic + logdet + seen.sum(axis=1) * np.log(2 * np.pi)).sum())

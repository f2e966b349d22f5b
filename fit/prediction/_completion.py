"""Infer a new model's missing and noisy scores from those that were measured."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .._normals import exact_normals
from ..law._refit import Training
from ..space._factor import FactorModel, fit_factor_model

__all__ = ["complete", "completions_of_noise", "precision_among_models", "scores_model"]

Array = NDArray[np.float64]

_N_COMPLETIONS = 64
_TWO_FACTORS_FROM = 20


@lru_cache(maxsize=64)
def scores_model(training: Training) -> FactorModel:
    """Return the factor model of a law's training scores, by which others are inferred."""
    table = training.scores
    n_factors = 2 if len(table) >= _TWO_FACTORS_FROM else 1
    return fit_factor_model(table, np.zeros_like(table), n_factors)


def precision_among_models(training: Training, measured: NDArray[np.bool_]) -> Array:
    """Return the inverse covariance (p, p) among models of the benchmarks that are measured (p,).

    Those that are not have zeros: what they would tell is unknown.
    """
    model = scores_model(training)
    own = model.loadings[measured]
    covariance = own @ own.T + np.diag(model.noise_variance[measured])
    precision = np.zeros((len(measured), len(measured)))
    precision[np.ix_(measured, measured)] = np.linalg.inv(covariance)
    return precision


def complete(training: Training, x: Array, errors: Array) -> tuple[Array, Array | None]:
    """Infer missing and noisy cells of x (m, p), and draw what is left open of them (m, s, p).

    A cell with noise of variance e is drawn towards what the factor model makes of the others, by
    e / (ψ + e), where ψ is what its benchmark has of its own; a missing one wholly, one without
    noise not at all.
    """
    missing = np.isnan(x)
    if not missing.any() and not errors.any():
        return x, None
    model = scores_model(training)
    n_factors = model.loadings.shape[1]
    factor, covariance = model.posterior(x, errors**2)
    trust = np.where(missing, 0.0, model.noise_variance / (model.noise_variance + errors**2))
    own = trust * np.nan_to_num(x - model.mean)
    low, high = training.clip
    mean = model.mean + (1 - trust) * (factor @ model.loadings.T) + own
    filled = np.where(missing | (errors > 0), np.clip(mean, low, high), x)

    normals = exact_normals(_N_COMPLETIONS, n_factors + x.shape[1])
    about, own = normals[:, :n_factors], normals[:, n_factors:]
    draws = about @ np.linalg.cholesky(covariance).swapaxes(1, 2)
    rest = np.sqrt((1 - trust) * model.noise_variance)
    drawn = (1 - trust)[:, None] * (draws @ model.loadings.T) + own * rest[:, None]
    return filled, np.clip(mean[:, None] + drawn, low, high)


def completions_of_noise(training: Training, x: Array, errors: Array) -> tuple[Array, Array]:
    """Complete one model's scores x (p,) again and again as noise (m, p) would change them.

    Unlike ``complete``, which infers the missing cells with less weight on noisy ones and so moves
    the model, this holds the model where its scores put it: only how far completions scatter
    depends on the noise.

    Returns the scores without noise (p,) and the completions (m, s, p).
    """
    missing = np.isnan(x)
    model = scores_model(training)
    n_factors = model.loadings.shape[1]
    m, p = errors.shape
    normals = exact_normals(_N_COMPLETIONS, 2 * p + n_factors)
    noise, own, about = np.split(normals, [p, 2 * p], axis=1)
    low, high = training.clip
    measured = x + noise * errors[:, None]
    if not missing.any():
        return x, np.clip(measured, low, high)
    cells = np.vstack([x, measured.reshape(-1, p)])
    factor, covariance = model.posterior(cells, np.zeros_like(cells))
    away = about @ np.linalg.cholesky(covariance[0]).T
    left = own * np.sqrt(model.noise_variance)
    inferred = model.mean + (factor[1:].reshape(m, -1, n_factors) + away) @ model.loadings.T + left
    filled = np.where(missing, np.clip(model.mean + factor[0] @ model.loadings.T, low, high), x)
    return filled, np.clip(np.where(missing, inferred, measured), low, high)

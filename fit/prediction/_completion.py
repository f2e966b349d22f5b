"""Infer a new model's missing and noisy scores from those that were measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..law._refit import Training
from ..space._factor import fit_factor_model

__all__ = ["complete", "completions_of_noise"]

Array = NDArray[np.float64]

_N_COMPLETIONS = 64
_TWO_FACTORS_FROM = 20
_SEED = 0


def complete(training: Training, x: Array, errors: Array) -> tuple[Array, Array | None]:
    """Infer missing and noisy cells of x (m, p), and draw what is left open of them (m, s, p).

    A cell with noise of variance e is drawn towards what the factor model makes of the others, by
    e / (ψ + e), where ψ is what its benchmark has of its own; a missing one wholly, one without
    noise not at all.
    """
    missing = np.isnan(x)
    if not missing.any() and not errors.any():
        return x, None
    table = training.scores
    n_factors = 2 if len(table) >= _TWO_FACTORS_FROM else 1
    model = fit_factor_model(table, np.zeros_like(table), n_factors)
    factor, covariance = model.posterior(x, errors**2)
    trust = np.where(missing, 0.0, model.noise_variance / (model.noise_variance + errors**2))
    own = trust * np.nan_to_num(x - model.mean)
    low, high = training.clip
    mean = model.mean + (1 - trust) * (factor @ model.loadings.T) + own
    filled = np.where(missing | (errors > 0), np.clip(mean, low, high), x)

    rng = np.random.default_rng(_SEED)
    m, p = x.shape
    root = np.linalg.cholesky(covariance)
    draws = rng.normal(size=(m, _N_COMPLETIONS, n_factors)) @ root.swapaxes(1, 2)
    rest = np.sqrt((1 - trust) * model.noise_variance)
    drawn = (1 - trust)[:, None] * (draws @ model.loadings.T)
    drawn += rng.normal(size=(m, _N_COMPLETIONS, p)) * rest[:, None]
    return filled, np.clip(mean[:, None] + drawn, low, high)


def completions_of_noise(
    training: Training, x: Array, errors: Array, *, n_seeds: int
) -> tuple[Array, Array]:
    """Complete one model's scores x (p,) again and again as noise (m, p) would change them.

    Unlike ``complete``, which infers the missing cells with less weight on noisy ones and so moves
    the model, this holds the model where its scores put it: only how far completions scatter
    depends on the noise. All rows of the noise share their random numbers.

    Returns the scores without noise (p,) and the completions (n_seeds, m, s, p).
    """
    missing = np.isnan(x)
    n, m, p = _N_COMPLETIONS, len(errors), len(x)
    rng = np.random.default_rng(_SEED)
    noise = rng.normal(size=(n_seeds, 1, n, p)) * errors[:, None]
    low, high = training.clip
    measured = np.broadcast_to(x, (n_seeds, m, n, p)) + noise
    if not missing.any():
        return x, np.clip(measured, low, high)
    table = training.scores
    n_factors = 2 if len(table) >= _TWO_FACTORS_FROM else 1
    model = fit_factor_model(table, np.zeros_like(table), n_factors)
    cells = np.vstack([x, measured.reshape(-1, p)])
    factor, covariance = model.posterior(cells, np.zeros_like(cells))
    own = rng.normal(size=(n_seeds, 1, n, p)) * np.sqrt(model.noise_variance)
    about = rng.normal(size=(n_seeds, 1, n, n_factors)) @ np.linalg.cholesky(covariance[0]).T
    inferred = model.mean + (factor[1:].reshape(n_seeds, m, n, -1) + about) @ model.loadings.T + own
    filled = np.where(missing, np.clip(model.mean + factor[0] @ model.loadings.T, low, high), x)
    return filled, np.clip(np.where(missing, inferred, measured), low, high)

"""Infer a new model's missing and noisy scores from those that were measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..law._refit import Training
from ..space._factor import fit_factor_model

__all__ = ["complete"]

Array = NDArray[np.float64]

_N_COMPLETIONS = 64
_TWO_FACTORS_FROM = 20
_SEED = 0


def complete(training: Training, x: Array, errors: Array) -> tuple[Array, Array | None]:
    """Infer missing cells of x (m, p), and draw what they and the noise leave open (m, s, p)."""
    missing = np.isnan(x)
    if not missing.any() and not errors.any():
        return x, None
    table = training.scores
    n_factors = 2 if len(table) >= _TWO_FACTORS_FROM else 1
    model = fit_factor_model(table, np.zeros_like(table), n_factors)
    factor, covariance = model.posterior(x, errors**2)
    low, high = training.clip
    filled = np.where(missing, np.clip(model.mean + factor @ model.loadings.T, low, high), x)

    rng = np.random.default_rng(_SEED)
    m, p = x.shape
    root = np.linalg.cholesky(covariance)
    draws = rng.normal(size=(m, _N_COMPLETIONS, n_factors)) @ root.swapaxes(1, 2)
    own = rng.normal(size=(m, _N_COMPLETIONS, p)) * np.sqrt(model.noise_variance)
    inferred = model.mean + (factor[:, None] + draws) @ model.loadings.T + own
    measured = filled[:, None] + rng.normal(size=(m, _N_COMPLETIONS, p)) * errors[:, None]
    return filled, np.clip(np.where(missing[:, None], inferred, measured), low, high)

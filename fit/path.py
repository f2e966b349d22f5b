"""The typical models along a law: what a curve of it, and an interval band, are drawn at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capspace.fit._refit import Fitted
from capspace.fit.law import link_function

__all__ = ["Path", "benchmark_weights", "linear_predictor", "score_slope", "typical_path"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Path:
    """Typical models of rising capability.

    Attributes
    ----------
    predictor : (m,) array
        The law's linear predictor C of each.
    scores : (m, p) array
        Their benchmark scores.

    """

    predictor: Floats
    scores: Floats


def linear_predictor(fitted: Fitted, scores: Floats) -> Floats:
    """Return C = β₀ + βᵀx (m,) of models with benchmark scores (m, p), NaN where not measured."""
    k = fitted.training.settings.n_components
    x = fitted.spaces.transform(scores, k)[0]
    return np.asarray(fitted.theta[0] + x @ fitted.theta[1 : k + 1])


def benchmark_weights(fitted: Fitted) -> Floats:
    """Return the change (p,) of the linear predictor per unit of each benchmark's score.

    Notes
    -----
    Σⱼ βⱼ · component j, the coefficients carried from capabilities back to benchmarks.
    """
    k = fitted.training.settings.n_components
    return np.asarray(fitted.theta[1 : k + 1] @ fitted.spaces.components[0, :k])


def score_slope(fitted: Fitted, scores: Floats) -> Floats:
    """Return the change (m, p) of the predicted target per unit of each score, at ``scores``."""
    form = fitted.training.settings.form
    k = fitted.training.settings.n_components
    c = linear_predictor(fitted, scores)
    slope = link_function(form)(c[None], fitted.theta[None, k + 1 :])[1][0]
    return np.asarray(slope[:, None] * benchmark_weights(fitted))


def typical_path(fitted: Fitted, low: float, high: float, n_points: int = 60) -> Path:
    """Return typical models whose linear predictor runs from ``low`` to ``high``.

    Notes
    -----
    Many models share one value c of C = β₀ + βᵀx. The typical one is the expectation of x given c
    under the training models' covariance S, x(c) = x̄ + Sβ (c - C(x̄)) / βᵀSβ, carried back to
    benchmark scores.

    """
    k = fitted.training.settings.n_components
    beta = fitted.theta[1 : k + 1]
    x = fitted.spaces.transform(fitted.training.scores, k)[0]
    centre = x.mean(axis=0)
    pull = np.cov(x.T, bias=True).reshape(k, k) @ beta
    c = np.linspace(low, high, n_points)
    along = (c - (fitted.theta[0] + centre @ beta)) / float(beta @ pull)
    capabilities = centre + along[:, None] * pull
    scores = fitted.spaces.mean[0] + capabilities @ fitted.spaces.components[0, :k]
    return Path(c, scores)

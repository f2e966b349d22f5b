"""A law's curve and its band are drawn at typical models along it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._display import frame_html
from ..errors import DegenerateError
from ._law import link_function
from ._refit import Fitted
from .intervals import IntervalMethod

__all__ = [
    "Curve",
    "Path",
    "benchmark_weights",
    "fitted_curve",
    "linear_predictor",
    "score_slope",
    "typical_path",
]

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


@dataclass(frozen=True)
class Curve:
    """A fitted curve along the capability axis, with its interval band where there is one.

    Attributes
    ----------
    x, y : (m,) arrays
        Capability (the law's linear predictor) and the target on it.
    lower, upper : (m,) arrays, optional
        Band of prediction intervals.
    level : float
        Nominal coverage of the band.

    See Also
    --------
    fitted_curve : Makes one from a fitted law.
    draw_target : Draws one among the models.

    Examples
    --------
    >>> import numpy as np
    >>> from capspace.fit import Curve
    >>> Curve(np.array([-1.0, 0.0, 1.0]), np.array([0.3, 0.5, 0.7]))
    Curve(3 points from -1 to 1)

    """

    x: Floats
    y: Floats
    lower: Floats | None = None
    upper: Floats | None = None
    level: float = 0.9

    def __repr__(self) -> str:
        return f"Curve({len(self.x)} points from {self.x[0]:.3g} to {self.x[-1]:.3g})"

    def _repr_html_(self) -> str:
        return frame_html(self)

    def to_frame(self) -> pd.DataFrame:
        """Return a row per point: x, y, lower, upper."""
        return pd.DataFrame({name: getattr(self, name) for name in ("x", "y", "lower", "upper")})


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

    Raises
    ------
    DegenerateError
        The law's predictor is the same for all training models.

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
    reach = float(beta @ pull)
    if not reach > 0:
        raise DegenerateError("the law does not vary over the training models: it has no curve")
    along = (c - (fitted.theta[0] + centre @ beta)) / reach
    capabilities = centre + along[:, None] * pull
    scores = fitted.spaces.mean[0] + capabilities @ fitted.spaces.components[0, :k]
    return Path(c, scores)


def fitted_curve(
    fitted: Fitted,
    low: float,
    high: float,
    *,
    method: IntervalMethod,
    level: float = 0.9,
    n_points: int = 60,
) -> Curve:
    """Return the law's curve, with the intervals of the typical models along it.

    Parameters
    ----------
    fitted : Fitted
        Space and law.
    low, high : float
        Where the curve begins and ends, in logits of the law's linear predictor.
    method : IntervalMethod
        How the intervals are made.
    level : float, default 0.9
        Nominal coverage of the intervals.
    n_points : int, default 60
        Points of the curve.

    Raises
    ------
    DegenerateError
        The law's predictor is the same for all training models.

    See Also
    --------
    draw_target : Draws it.

    Examples
    --------
    >>> from capspace.fit import JackknifePlus, TargetLaw, fitted_curve, load_reference
    >>> law = TargetLaw("agentbench").fit(load_reference())
    >>> fitted_curve(law.fitted_, -3, 3, method=JackknifePlus(), n_points=20)
    Curve(20 points from -3 to 3)

    """
    path = typical_path(fitted, low, high, n_points)
    interval = method.predict(fitted, path.scores, level=level)
    return Curve(path.predictor, interval.mean, interval.lower, interval.upper, level)

"""Scores are fitted on a scale without floor and ceiling, and shown on the benchmark's own."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["score_to_z", "z_to_score"]

Array = NDArray[np.float64]

_MARGIN = 0.02
_LINEAR_UNIT = 500.0


def score_to_z(scores: ArrayLike, linear: ArrayLike = False) -> Array:
    r"""Return scores on the scale on which models are fitted.

    Parameters
    ----------
    scores : (..., p) array
        Fractions in [0, 1], or any number where ``linear``; NaN stays NaN.
    linear : bool or (p,) array of bool, default False
        Columns such as Elo ratings that have neither floor nor ceiling.

    Notes
    -----
    z = log((s + 0.02) / (1.02 - s)), finite at 0 and 1; linear columns are divided by 500.

    See Also
    --------
    z_to_score : The inverse.

    Examples
    --------
    >>> from capspace.fit import score_to_z
    >>> score_to_z([0.0, 0.5, 1.0]).round(2).tolist()
    [-3.93, 0.0, 3.93]

    """
    s = np.asarray(scores, dtype=float)
    straight = np.broadcast_to(np.asarray(linear, dtype=bool), s.shape)
    inside = np.where(straight, 0.5, s)
    return np.where(straight, s / _LINEAR_UNIT, np.log((inside + _MARGIN) / (1 + _MARGIN - inside)))


def z_to_score(z: ArrayLike, linear: ArrayLike = False) -> Array:
    """Return what values of ``score_to_z`` stand for, fractions cut to [0, 1].

    Parameters
    ----------
    z : (..., p) array
        NaN stays NaN.
    linear : bool or (p,) array of bool, default False
        As for ``score_to_z``.

    See Also
    --------
    score_to_z : The inverse.

    Examples
    --------
    >>> from capspace.fit import score_to_z, z_to_score
    >>> z_to_score(score_to_z([0.25, 1.0])).round(6).tolist()
    [0.25, 1.0]
    >>> z_to_score([2.8], linear=True).tolist()
    [1400.0]

    """
    value = np.asarray(z, dtype=float)
    straight = np.broadcast_to(np.asarray(linear, dtype=bool), value.shape)
    sigmoid = 0.5 * (1 + np.tanh(0.5 * value))
    fraction = np.clip((1 + 2 * _MARGIN) * sigmoid - _MARGIN, 0.0, 1.0)
    return np.where(straight, value * _LINEAR_UNIT, fraction)

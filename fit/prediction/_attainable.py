"""The attainable score is reached by the best tenth of models with the same cheap scores."""

from __future__ import annotations

from math import nan

import numpy as np
from numpy.typing import NDArray

from ..reference.left_out import LeftOut

__all__ = ["FEWEST", "attainable_score", "upward_quantile", "upward_ratios"]

Array = NDArray[np.float64]

FEWEST = 40


def attainable_score(
    left_out: LeftOut | None, *, mean: float, upper: float, share: float = 0.1
) -> float:
    r"""Return the score that a share of the models with such scores exceed.

    Parameters
    ----------
    left_out : LeftOut or None
        Predictions of the reference's models, each by a fit without it; None where it has none.
    mean, upper : float
        Predicted score and the upper end of its 90% interval.
    share : float, default 0.1
        Of models that reach more.

    Returns
    -------
    float
        NaN where fewer than 40 models were left out.

    Notes
    -----
    A conformal quantile. With u = (score − mean)/(upper − mean) of the n models left out, it is
    mean + q (upper − mean), q the ⌈(n + 1)(1 − share)⌉-th smallest u, no more than 1.

    References
    ----------
    Romano, Patterson & Candès (2019), Conformalized quantile regression. NeurIPS 32.

    """
    if left_out is None or not np.isfinite([mean, upper]).all():
        return nan
    ratios = upward_ratios(left_out)
    if len(ratios) < FEWEST:
        return nan
    return float(np.clip(mean + upward_quantile(ratios, share) * (upper - mean), mean, 1.0))


def upward_ratios(left_out: LeftOut) -> Array:
    """Return how far scores (n,) lie above their predictions, in units of the half above it."""
    above = left_out.upper - left_out.predicted
    use = above > 1e-6
    return np.asarray((left_out.score - left_out.predicted)[use] / above[use])


def upward_quantile(ratios: Array, share: float) -> float:
    """Return the ratio that a share of new models exceed."""
    n = len(ratios)
    place = min(int(np.ceil((n + 1) * (1 - share))), n) - 1
    return float(np.sort(ratios)[place])

"""Draws of a normal distribution whose mean and covariance are exactly those of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["exact_normals"]

_SEED = 0


def exact_normals(n: int, d: int) -> NDArray[np.float64]:
    r"""Return standard normal draws (m, d) with mean 0 and covariance 1 exactly; m is at least n.

    What is linear in them has exactly its mean and variance, at any number of draws, and what is
    computed of one model does not depend on which others are computed beside it: the draws are
    always the same.

    Parameters
    ----------
    n : int
        Draws; as many more as ``d`` numbers need, 2 d, where it is fewer, and one more where odd.
    d : int
        Numbers of each.

    Notes
    -----
    Random draws Z (m/2, d) are factored, Z = QR, and replaced by √(m/2) Q; behind these rows come
    their mirror images: :math:`\sum_i z_i = 0` and :math:`\sum_i z_i z_i^\top = m I`.

    References
    ----------
    Barraquand (1995), Numerical valuation of high dimensional multivariate European securities
    (quadratic resampling).

    Examples
    --------
    >>> draws = exact_normals(64, 3)
    >>> draws.shape
    (64, 3)
    >>> bool(np.allclose(draws.T @ draws, 64 * np.eye(3)))
    True

    """
    half = max(-(-n // 2), d)
    basis, upper = np.linalg.qr(np.random.default_rng(_SEED).normal(size=(half, d)))
    points = np.sqrt(half) * basis * np.sign(np.diag(upper))
    return np.stack([points, -points], axis=1).reshape(2 * half, d)

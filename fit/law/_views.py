"""Two views of the benchmark scores, as they are and on a soft logit scale, each carry the law."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ._refit import Fitted, fit_once

__all__ = ["SCORE_NOISE", "angle", "from_angle", "soft_logit", "softened"]

Array = NDArray[np.float64]

SCORE_NOISE = 0.003
"""Variance that about 80 items leave open in a score, on the scale of ``angle``."""

_SOFTENING = 0.1


def angle(p: Array) -> Array:
    """Return asin √p, the scale on which the sampling noise of a fraction p is about constant."""
    return np.asarray(np.arcsin(np.sqrt(np.clip(p, 0.0, 1.0))))


def from_angle(a: Array) -> Array:
    """Return the fraction of an angle; angles beyond the ends are 0 or 1."""
    return np.asarray(np.sin(np.clip(a, 0.0, np.pi / 2)) ** 2)


def soft_logit(scores: Array, chance: Array) -> Array:
    r"""Return scores on a softened logit scale, slope 1 halfway between chance and perfect.

    Notes
    -----
    q = clip((x − chance)/(1 − chance), 0, 1); h = ½(½ + e) log((q + e)/(1 − q + e)), e = 0.1.

    """
    e = _SOFTENING
    q = np.clip((scores - chance) / (1 - chance), 0.0, 1.0)
    return np.asarray(0.5 * (0.5 + e) * np.log((q + e) / (1 - q + e)))


@lru_cache(maxsize=64)
def softened(fitted: Fitted) -> Fitted:
    """Return the same law fitted to the softly logit-scaled scores, once for each law."""
    training = fitted.training
    reach = float(soft_logit(np.array(1.0), np.array(0.0)))
    return fit_once(
        replace(training, scores=soft_logit(training.scores, training.chance), clip=(-reach, reach))
    )

"""A surprise is a score's standardised distance from what the model's other scores predict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..completion._variational import FactorPosterior
from ..completion.scales import score_to_z

__all__ = ["FEWEST_SIBLINGS", "Array", "Mask", "Surprise", "surprise_by"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

FEWEST_SIBLINGS = 2
"""Other scores of a model that a score is predicted from, at least."""

_MARGIN = 0.02


@dataclass(frozen=True)
class Surprise:
    """How far scores of n models lie from what their siblings say, for p + 1 tests.

    A test asks for one column each, and the last for all generated columns together.

    Attributes
    ----------
    distance : (n, p + 1)
        In predictive standard deviations; NaN where there is nothing to test.
    mean, deviation : (n, p + 1)
        Expected scores and their standard deviations on the scale of the fit, each column from the
        others; of the generated columns their mean.

    """

    distance: Array
    mean: Array
    deviation: Array


def surprise_by(
    posterior: FactorPosterior, scores: Array, stderr: Array, generated: Mask
) -> Surprise:
    """Return how far scores lie from what siblings say; see ``SiblingModel.surprise``."""
    z, noise = score_to_z(scores), _noise(scores, stderr)
    known = ~np.isnan(z)
    n, p = z.shape
    distance, expected, spread = (np.full((n, p + 1), np.nan) for _ in range(3))
    for j in range(p):
        hidden = np.arange(p) == j
        at = known[:, j] & ((known & ~hidden).sum(axis=1) >= FEWEST_SIBLINGS)
        if at.any():
            mean, deviation = _from_others(posterior, z[at], noise[at], hidden)
            expected[at, j], spread[at, j] = mean[:, j], deviation[:, j]
            distance[at, j] = (z[at, j] - mean[:, j]) / deviation[:, j]
    texts = known & generated
    at = (texts.sum(axis=1) >= 2) & ((known & ~generated).sum(axis=1) >= FEWEST_SIBLINGS)
    if at.any():
        mean, deviation = _from_others(posterior, z[at], noise[at], generated)
        hidden = texts[at]
        for out, part in (
            (distance, (z[at] - mean) / deviation), (expected, mean), (spread, deviation),
        ):  # fmt: skip
            out[at, p] = np.nanmean(np.where(hidden, part, np.nan), axis=1)
    return Surprise(distance, expected, spread)


def _from_others(
    posterior: FactorPosterior, z: Array, noise: Array, hidden: Mask
) -> tuple[Array, Array]:
    """Return mean and standard deviation (n, p) of measured cells, without the hidden columns.

    The noise of a cell adds to its own variance, and moves what others expect by the difference
    between expectations one deviation up and down; those differences add in squares.
    """
    rest = np.where(hidden, np.nan, z)
    mean, variance = posterior.predict(*posterior.place(rest))
    variance = variance + noise**2
    for i in np.flatnonzero((noise > 0).any(axis=0) & ~hidden):
        moved = []
        for sign in (-1.0, 1.0):
            shifted = rest.copy()
            shifted[:, i] += sign * noise[:, i]
            moved.append(posterior.predict(*posterior.place(shifted))[0])
        variance = variance + ((moved[1] - moved[0]) / 2) ** 2
    return mean, np.sqrt(variance)


def _noise(scores: Array, stderr: Array) -> Array:
    """Return standard errors on the scale of the fit, 0 where they are not known."""
    slope = 1 / (scores + _MARGIN) + 1 / (1 + _MARGIN - scores)
    return np.nan_to_num(stderr * slope)

"""What noise in the scores adds to predictions, where a model's scores tell of each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["NoiseVariance"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class NoiseVariance:
    r"""What noise in the scores of a model adds to the variances of its predictions.

    Attributes
    ----------
    gain : (T, p) array
        By how much each prediction moves where a score moves by one, of any unit, with its sign.
    precision : (T, p, p) array
        Inverse covariance of the scores among models, by the table that each law was fitted on;
        zeros where a noisy score is taken as it is.

    Notes
    -----
    A noisy score is drawn towards what the others tell of it, so that of the scores' noise with
    variances s² the posterior covariance is left:

    .. math:: g^T (P + \mathrm{diag}(1 / s^2))^{-1} g = (g s^2)^T (I + P\,\mathrm{diag}(s^2))^{-1} g

    With P = 0 it is Σ g² s². It is convex in 1/s², and so in the numbers of items.

    References
    ----------
    Chaloner and Verdinelli (1995), Bayesian experimental design: a review, section 2.

    Examples
    --------
    >>> import numpy as np
    >>> alone = NoiseVariance(np.array([[2.0, 1.0]]), np.zeros((1, 2, 2)))
    >>> alone.added(np.array([0.01, 0.02])).round(3).tolist()
    [0.06]
    >>> known = NoiseVariance(np.array([[2.0, 1.0]]), np.diag([100.0, 0.0])[None])
    >>> known.added(np.array([0.01, 0.02])).round(3).tolist()
    [0.04]

    """

    gain: Array
    precision: Array

    def added(self, variance: Array) -> Array:
        """Return what noise of these variances (p,) adds to each prediction's variance (T,)."""
        return np.asarray((self.gain * self._remaining_gain(variance)) @ variance)

    def slopes(self, variance: Array) -> Array:
        """Return by how much that grows (T, p) with the variance (p,) of each score."""
        return np.asarray(self._remaining_gain(variance) ** 2)

    def rows(self, which: Sequence[int]) -> NoiseVariance:
        """Return that of some of the predictions."""
        return NoiseVariance(self.gain[which], self.precision[which])

    def columns(self, which: Sequence[int | None]) -> NoiseVariance:
        """Return that of some of the scores, in this order; None is one that moves no prediction.

        The others are without noise.
        """
        at = [i for i, column in enumerate(which) if column is not None]
        own = [column for column in which if column is not None]
        gain = np.zeros((len(self.gain), len(which)))
        precision = np.zeros((*gain.shape, len(which)))
        gain[:, at] = self.gain[:, own]
        precision[np.ix_(range(len(gain)), at, at)] = self.precision[:, own][:, :, own]
        return NoiseVariance(gain, precision)

    def _remaining_gain(self, variance: Array) -> Array:
        """Return the gain (T, p) that noise has beside what other scores tell."""
        if not self.precision.any():
            return self.gain
        system = np.eye(len(variance)) + self.precision * variance
        return np.asarray(np.linalg.solve(system, self.gain[..., None])[..., 0])
